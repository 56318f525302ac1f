/**
 * The drill itself: again and again a tree of tokens is opened at one broker, shown to every verifier, revoked at one broker,
 * and shown to every verifier until none takes any of it. Whatever it opens it ends, also when it is stopped.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Secret } from '../../kernel/secret.ts'
import { ENDPOINT } from '../../protocol/oauth.ts'
import { BrokerRefusal } from '../broker-client.ts'
import { CommandFailure } from '../failures.ts'
import { ask } from './speaker.ts'
import { type Growers, Tree } from './tree.ts'
import type { DrillBroker, DrillVerifier, Verdict } from './verifiers.ts'

/** Until a token that was minted a moment ago is known everywhere, and until a revoke that could not be done is tried again. */
const ALIVE_MS_MAX = 5_000
const AGAIN_MS = 50

/** Of one revocation, in milliseconds from its request on. */
export interface Sample {
  /** The last time that any token of the tree was taken; 0: none was. */
  readonly acceptedMs: number
  /** When every token had been refused for good; `undefined`: not within the bound. */
  readonly deadMs: number | undefined
}

/** Of one verifier. */
export interface Row {
  readonly verifier: DrillVerifier
  readonly samples: readonly Sample[]
}

export interface Plan {
  readonly growers: Growers
  readonly brokers: readonly DrillBroker[]
  readonly verifiers: readonly DrillVerifier[]
  readonly rounds: number
  readonly maxMs: number
  /** Stops it. */
  readonly signal: AbortSignal
  progress(text: string): void
  warn(text: string): void
}

export interface Measured {
  readonly rows: readonly Row[]
  readonly revocations: number
  readonly tokens: number
  readonly hops: number
}

/** Ends early where a verifier is past the bound. @throws BrokerRefusal, CommandFailure */
export async function measure(plan: Plan): Promise<Measured> {
  const { brokers, verifiers, rounds } = plan
  const samples: (readonly Sample[])[] = []
  let tokens = 0
  let hops = 0
  for (let step = 0; step < rounds * brokers.length; step += 1) {
    const at = brokers[step % brokers.length]
    // Once round the brokers it is revoked at the next one, then at the one after that, …, and where it was opened.
    const shift = 1 + Math.floor(step / brokers.length)
    const where = brokers[(step + shift) % brokers.length]
    if (at === undefined || where === undefined) break
    const tree = new Tree()
    const title = `revocation ${step + 1} of ${rounds * brokers.length}`
    const taken = await revokedOnce(plan, tree, { at, where, title })
    samples.push(taken)
    tokens += tree.tokens.length
    hops = tree.hops
    if (taken.some(({ deadMs }) => deadMs === undefined)) break
  }
  const rows = verifiers.map((verifier, index) => ({
    verifier,
    samples: samples.flatMap((taken) => taken[index] ?? []),
  }))
  return { rows, revocations: samples.length, tokens, hops }
}

interface Step {
  readonly at: DrillBroker
  readonly where: DrillBroker
  readonly title: string
}

async function revokedOnce(plan: Plan, tree: Tree, { at, where, title }: Step): Promise<readonly Sample[]> {
  let isRevoked = false
  try {
    plan.progress(`${title}: opened at ${at.name}`)
    await tree.grow(plan.growers, at.client)
    assertGoesOn(plan.signal)
    await assertAlive(plan, tree)
    plan.progress(`${title}: revoked at ${where.name}, shown to ${plan.verifiers.length} verifiers`)
    const over = new AbortController()
    const begunMs = performance.now()
    // A token that has ended by itself says nothing of its revocation.
    const boundMs = Math.min(plan.maxMs, tree.endsMs - begunMs)
    const timer = setTimeout(() => over.abort(), boundMs)
    const signal = AbortSignal.any([over.signal, plan.signal])
    try {
      const watched = plan.verifiers.map((verifier) => watch(verifier, tree.tokens, { begunMs, boundMs, signal }))
      const revoking = revoke(plan, tree, where, signal).then((done) => {
        isRevoked = done
      })
      const [samples] = await Promise.all([Promise.all(watched), revoking])
      assertGoesOn(plan.signal)
      return samples
    } finally {
      clearTimeout(timer)
      over.abort()
    }
  } finally {
    if (!isRevoked) await end(plan, tree)
  }
}

function assertGoesOn(signal: AbortSignal): void {
  if (signal.aborted) throw new CommandFailure('stopped; the drill has ended what it had opened')
}

/** @throws CommandFailure: what is not taken before says nothing by not being taken afterwards */
async function assertAlive({ verifiers, signal }: Plan, { tokens }: Tree): Promise<void> {
  await Promise.all(
    verifiers.map(async ({ broker, by, verdict }) => {
      const begunMs = performance.now()
      for (;;) {
        assertGoesOn(signal)
        const verdicts = await Promise.all(tokens.map(verdict))
        if (verdicts.every((one) => one === 'accepted')) return
        const isDead = verdicts.includes('refused')
        if (isDead || performance.now() - begunMs > ALIVE_MS_MAX) {
          const what = isDead ? 'does not take the drill’s token' : 'gives no answer about the drill’s token'
          const why = 'is --server the server_client of --resource, and does every broker share one store?'
          throw new CommandFailure(`${broker} by ${by} ${what}, so there is nothing to measure: ${why}`)
        }
        await sleep(AGAIN_MS)
      }
    }),
  )
}

/** As an operator would: what could not be done is asked again, and the clock runs on. Whether all of it was done. */
async function revoke(
  { growers }: Plan,
  { roots }: Tree,
  { watching }: DrillBroker,
  signal: AbortSignal,
): Promise<boolean> {
  const one = async (token: Secret): Promise<boolean> => {
    while (!signal.aborted) {
      try {
        await ask(growers.agent, watching, ENDPOINT.revocation, { token: token.reveal() })
        return true
      } catch (fault) {
        const mayPass = fault instanceof CommandFailure || (fault instanceof BrokerRefusal && fault.status >= 429)
        if (!mayPass) throw fault
        await sleep(AGAIN_MS)
      }
    }
    return false
  }
  const done = await Promise.race([Promise.all(roots.map(one)), aborted(signal)])
  return done?.every(Boolean) === true
}

interface Watching {
  readonly begunMs: number
  readonly boundMs: number
  readonly signal: AbortSignal
}

async function watch(
  { verdict, pauseMs }: DrillVerifier,
  tokens: readonly Secret[],
  { begunMs, boundMs, signal }: Watching,
): Promise<Sample> {
  const over = aborted(signal)
  let left = tokens
  let acceptedMs = 0
  while (!signal.aborted) {
    const verdicts: readonly Verdict[] | undefined = await Promise.race([over, Promise.all(left.map(verdict))])
    // By when it has answered: what it has taken, it took by then.
    const ms = performance.now() - begunMs
    if (verdicts === undefined || ms > boundMs) break
    if (verdicts.includes('accepted')) acceptedMs = ms
    left = left.filter((_, index) => verdicts[index] !== 'refused')
    if (left.length === 0) return { acceptedMs, deadMs: ms }
    await sleep(pauseMs)
  }
  return { acceptedMs, deadMs: undefined }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

/** At whichever broker does it first. */
async function end({ growers, brokers, warn }: Plan, { roots }: Tree): Promise<void> {
  for (const root of roots) {
    const ended = new AbortController()
    const anywhere = brokers.map(({ client }) =>
      ask(growers.agent, client.endingWith(ended.signal), ENDPOINT.revocation, { token: root.reveal() }),
    )
    try {
      await Promise.any(anywhere)
    } catch {
      warn('what the drill had opened could not be ended at any broker: it ends by itself within minutes\n')
    } finally {
      ended.abort()
    }
  }
}
