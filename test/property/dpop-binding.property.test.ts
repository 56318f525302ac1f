/**
 * "No path from a bound node to a bearer token", against the real broker: whatever is opened, delegated, accepted and continued,
 * with proofs or without, in any order. What may come out is said here by a model of three lines, never by `src/`.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { holderKey, jktOf, proving } from '../support/dpop.ts'
import { details, intent, tools } from '../support/hops.ts'
import { type Answer, claimsOf, INTENT, startWorld, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const KEYS = ['a', 'b', 'c'] as const
type KeyName = (typeof KEYS)[number] | undefined

const AGENTS = ['orchestrator', 'researcher', 'scribe'] as const

interface Held {
  readonly token: string
  readonly depth: number
  /** The key it is bound to; what is below it is bound, to whatever key. */
  readonly key: KeyName
}

const keyName = fc.option(fc.constantFrom(...KEYS), { nil: undefined, freq: 2 })
const step = fc.record({
  kind: fc.constantFrom('continue', 'hand_on'),
  from: fc.nat(5),
  with: keyName,
  accepting: keyName,
})

const headersFor = (key: KeyName) => (key === undefined ? {} : proving(world, holderKey(key)))
const cnfOf = (answer: Answer) => claimsOf(answer.body.access_token)['cnf']
const cnf = (key: KeyName) => (key === undefined ? undefined : { jkt: jktOf(holderKey(key)) })
/** The model: whose key a request must prove, and which key its answer then has. */
const isEnough = (held: KeyName, shown: KeyName) => held === undefined || held === shown

test('#66 no bound node ever yields a bearer token, by whatever path', async () => {
  await fc.assert(
    fc.asyncProperty(keyName, fc.array(step, { minLength: 1, maxLength: 6 }), async (opening, steps) => {
      const [first, ...rest] = INTENT
      const asked = { authorization_details: details({ ...first, max_depth: 2 }, ...rest) }
      const opened = await settled(() => world.open(asked, headersFor(opening)))
      expect(cnfOf(opened)).toEqual(cnf(opening))
      const nodes: Held[] = [{ token: opened.body.access_token, depth: 0, key: opening }]
      for (const { kind, from, with: shown, accepting } of steps) {
        const held = nodes[from % nodes.length] as Held
        if (kind === 'continue') await continued(held, shown)
        else if (held.depth < 2) nodes.push(...(await handedOn(held, shown, accepting)))
      }
    }),
    { numRuns: 40 },
  )
})

/** An answer of the broker's own mind: a store that is too slow on a busy machine has none. */
async function settled(request: () => Promise<Answer>): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    const answer = await request()
    if (answer.status !== 503 || tries === 5) return answer
  }
}

async function continued(held: Held, shown: KeyName): Promise<void> {
  const answer = await settled(() => world.continue(held.token, {}, AGENTS[held.depth], headersFor(shown)))
  const isGranted = isEnough(held.key, shown)
  expect([answer.status, answer.body.error_reason]).toEqual(
    isGranted ? [200, undefined] : [400, 'subject_token_unproven'],
  )
  if (!isGranted) return
  expect([cnfOf(answer), answer.body.token_type]).toEqual([cnf(shown), shown === undefined ? 'Bearer' : 'DPoP'])
}

/** @returns the node of the sub-agent, where there is one */
async function handedOn(held: Held, shown: KeyName, accepting: KeyName): Promise<readonly Held[]> {
  const limit = { limit: { maximum: held.depth === 0 ? 100 : 10 } }
  const narrower = details(
    intent(held.depth === 0 ? { max_depth: 1 } : {}),
    tools(WAREHOUSE, { query: { table: { const: 'revenue' }, ...limit } }),
  )
  const params = { audience: AGENTS[held.depth + 1], authorization_details: narrower }
  const offered = await settled(() => world.delegate(held.token, params, AGENTS[held.depth], headersFor(shown)))
  expect(offered.status === 200, JSON.stringify(offered.body)).toBe(isEnough(held.key, shown))
  if (offered.status !== 200) return []
  const delegation = offered.body.access_token as string
  const accepted = await settled(() => world.accept(delegation, {}, AGENTS[held.depth + 1], headersFor(accepting)))
  const demandsKey = shown !== undefined
  expect(accepted.status === 200, JSON.stringify(accepted.body)).toBe(!demandsKey || accepting !== undefined)
  if (accepted.status !== 200) return []
  expect(cnfOf(accepted)).toEqual(cnf(accepting))
  return [{ token: accepted.body.access_token, depth: held.depth + 1, key: accepting }]
}
