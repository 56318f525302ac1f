/**
 * A verifier that remembers tokens answers as one to which every token is new, whatever happens in between: time, other keys,
 * keys that cannot be read, cut-offs, a feed that falls silent, tokens that somebody has changed.
 *
 * To the second verifier no token comes twice, nor one that is like another: each has a claim of its own.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Dimension } from '../../src/authority/dimensions.ts'
import { TokenRefused, type VerifiedToken } from '../../src/sdk/verify/verified-token.ts'
import { createVerifier, type Verifier } from '../../src/sdk/verify/verifier.ts'
import { ToldFeed } from '../support/told-feed.ts'
import { Door, ISSUER, type Key, ManualClock, NOW_S, newKey, RESOURCE, token } from '../unit/sdk/verify/issuing.ts'

/** Two of one name. */
const KEYS = [newKey('k1'), newKey('k2'), newKey('k1')] as const
const DETAILS = [{ type: 'mcp_tools', locations: [RESOURCE], tools: { query: {}, list: { of: { const: 'x' } } } }]
const NAMED = { anc: ['nod_1'], rv: 1, agent: { version: '1' }, authorization_details: DETAILS }

interface Draft {
  readonly key: Key
  readonly claims: Readonly<Record<string, unknown>>
}

const DRAFTS: readonly Draft[] = [
  { key: KEYS[0], claims: { ...NAMED, exp: NOW_S + 900 } },
  { key: KEYS[0], claims: { ...NAMED, sub: 'user:corp:bob', jti: 'jti_2', sid: 'ses_2' } },
  { key: KEYS[1], claims: { ...NAMED, jti: 'jti_3', sid: 'ses_2', exp: NOW_S + 600 } },
  { key: KEYS[2], claims: { ...NAMED, jti: 'jti_4', exp: NOW_S + 900 } },
  { key: KEYS[0], claims: { ...NAMED, jti: 'jti_5', iat: NOW_S + 100, exp: NOW_S + 400 } },
  { key: KEYS[0], claims: { ...NAMED, jti: 'jti_6', cnf: { 'x5t#S256': 'A'.repeat(43) } } },
  { key: KEYS[1], claims: { ...NAMED, jti: 'jti_7', anc: undefined } },
]

const CUTS: readonly (readonly [Dimension, string])[] = [
  ['user', 'user:corp:bob'],
  ['session', 'ses_2'],
  ['node', 'jti_1'],
  ['agent', 'orchestrator'],
  ['key', 'k2'],
  ['tool', `${RESOURCE}|query`],
  ['tool', `${RESOURCE}|list`],
]

const CHANGES: readonly ((text: string) => string)[] = [
  (text) => `${text}A`,
  (text) => text.slice(0, -2),
  (text) => text.replace('.', '.A'),
]

type Step =
  | { readonly kind: 'present'; readonly draft: number; readonly change: number; readonly shown: boolean }
  | { readonly kind: 'pass'; readonly seconds: number }
  | { readonly kind: 'publish'; readonly keys: readonly number[] }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'beat' | 'away' }

const below = (count: number) => fc.nat({ max: count - 1 })
const present: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('present' as const),
  draft: below(DRAFTS.length),
  // Most are as they were made.
  change: fc.oneof({ weight: 6, arbitrary: fc.constant(-1) }, below(CHANGES.length)),
  shown: fc.boolean(),
})
const steps: fc.Arbitrary<Step[]> = fc.array<Step>(
  fc.oneof(
    { weight: 10, arbitrary: present },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('pass' as const), seconds: fc.integer({ min: -40, max: 320 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('publish' as const),
        keys: fc.constantFrom([0, 1], [1], [2, 1], [0], []),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), at: below(CUTS.length) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('beat' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('away' as const) }) },
  ),
  { minLength: 10, maxLength: 40 },
)

class Scene {
  readonly clock = new ManualClock()
  readonly door = new Door([KEYS[0], KEYS[1]])
  readonly feed = new ToldFeed(() => this.clock.ms)
  readonly #texts = new Map<number, string>()
  readonly #remembers = this.#verifier()
  readonly #neverSaw = this.#verifier()
  believed = 0
  #presented = 0

  #verifier(): Verifier {
    return createVerifier({
      issuer: ISSUER,
      resource: RESOURCE,
      door: this.door.open,
      clock: this.clock,
      ticks: { ticksMs: () => this.clock.ms },
      streams: this.feed.open,
      revocations: { clientId: 'server', sign: async () => 'assertion' },
    })
  }

  async ready(): Promise<void> {
    this.door.introspect = () => '{"access_token":"api","token_type":"Bearer","expires_in":300}'
    for (const verifier of [this.#remembers, this.#neverSaw]) await verifier.revocations?.ready()
  }

  async close(): Promise<void> {
    for (const verifier of [this.#remembers, this.#neverSaw]) await verifier.revocations?.close()
  }

  async take(step: Step): Promise<void> {
    if (step.kind === 'present') return this.#present(step)
    if (step.kind === 'pass') this.clock.ms += step.seconds * 1000
    else if (step.kind === 'publish') {
      const published = step.keys.flatMap((at) => KEYS[at] ?? [])
      this.door.jwks = () => JSON.stringify({ keys: published.map(({ jwk }) => jwk) })
    } else if (step.kind === 'cut') await this.feed.cutOff(...(CUTS[step.at] ?? (['session', ''] as const)))
    else if (step.kind === 'beat') await this.feed.beat()
    else
      this.door.jwks = () => {
        throw new Error('away')
      }
  }

  async #present({ draft, change, shown }: Extract<Step, { kind: 'present' }>): Promise<void> {
    const { key, claims } = DRAFTS[draft] ?? { key: KEYS[0], claims: {} }
    const text = this.#texts.get(draft) ?? (await token(key, claims))
    this.#texts.set(draft, text)
    const changed = CHANGES[change] ?? ((same: string) => same)
    const holder = shown ? { certificateThumbprint: 'A'.repeat(43) } : {}
    const answer = await outcomeOf(this.#remembers.verify(changed(text), holder))
    this.#presented += 1
    const other = await token(key, { ...claims, nonce: `${this.#presented}` })
    expect(answer).toEqual(withoutNonce(await outcomeOf(this.#neverSaw.verify(changed(other), holder))))
    if (typeof answer === 'object') this.believed += 1
  }
}

function withoutNonce(outcome: VerifiedToken | string): unknown {
  if (typeof outcome === 'string') return outcome
  const { nonce: _, ...claims } = outcome.claims
  return { ...outcome, claims }
}

async function outcomeOf(verified: Promise<VerifiedToken>): Promise<VerifiedToken | string> {
  try {
    return await verified
  } catch (error) {
    if (error instanceof TokenRefused) return `${error.kind} ${error.error} ${error.message}`
    throw error
  }
}

test('whatever happens in between, a token that was seen is answered as one that was not', async () => {
  let believed = 0
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const scene = new Scene()
      try {
        await scene.ready()
        for (const step of all) await scene.take(step)
      } finally {
        await scene.close()
      }
      believed += scene.believed
    }),
    { numRuns: 300 },
  )
  // Else it would hold of verifiers that believe nothing.
  expect(believed).toBeGreaterThan(300)
})
