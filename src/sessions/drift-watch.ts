/**
 * Counts what is asked outside what a session is for, and brakes the session when it has become too much (DESIGN §7).
 *
 * Guarantees:
 * - Each is counted once, in the transaction that writes its record: for the session in its own slot, and for every agent that
 *   holds or has passed on what was asked with, per subject, so that neither a new session nor a sub-agent begins at nothing.
 * - The control slot first: access tokens are dead and, at a halt, the agents blocked for this subject, before the session's
 *   own record says so. A broker that dies in between leaves what issues nothing. And the access tokens once more after it:
 *   one that another broker decided between the two is dead, too, also where nobody is asked.
 * - However many brokers come to the threshold at once, the session is braked once and there is one record of it.
 * - A halt cuts no handle off: a reviewer who resumes finds everything as it was, and nobody has to wait or sign in again.
 */
import { pairKey } from '../authority/dimensions.ts'
import type { DecisionId } from '../kernel/ids.ts'
import { newJti } from '../kernel/ids.ts'
import { ACCESS_TOKEN_LIFETIME_S_MAX, CLOCK_SKEW_S } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Content } from '../model/commit.ts'
import { type Brake, type Braked, brakeAfter, isHarder } from '../model/drift.ts'
import type { SessionFacts } from '../model/session.ts'
import type { DriftSettings } from '../model/settings.ts'
import type { ControlWrite, Store } from '../store/ports.ts'
import { brakeSession, countDrift } from './drift-commits.ts'
import type { LiveCutoffs } from './live-cutoffs.ts'
import type { LiveSession, SessionRepository } from './session-repository.ts'

/** One thing asked for outside, and refused. */
export interface OutsideAsk {
  /** As it was read for the answer. */
  readonly held: Pick<LiveSession, 'facts' | 'state' | 'node' | 'drift'>
  /** Client ids: the holder, and those that passed it on. */
  readonly agents: readonly string[]
  /** Asked again under the same key it is counted once. */
  readonly key: string
  readonly decision: DecisionId
  /** The record of the refusal, and what it names by digest. */
  readonly record: string
  readonly contents: readonly Content[]
}

export interface DriftParts {
  readonly store: Pick<Store, 'control' | 'windows' | 'indexes'>
  readonly sessions: Pick<SessionRepository, 'commit' | 'driftOf'>
  readonly cutoffs: Pick<LiveCutoffs, 'set' | 'write' | 'storeNowMs'>
  readonly settings: DriftSettings
  /** The record of it. */
  readonly recordOf: (braked: Braked) => string
  /** Somebody should look: told once. */
  readonly alarm: (braked: Braked) => void
}

/** Sessions to be looked at, for people. */
export const BRAKED_INDEX = 'sessions:braked'

export class DriftWatch {
  readonly #parts: DriftParts

  constructor(parts: DriftParts) {
    this.#parts = parts
  }

  /**
   * Writes the refusal's record with it; `false`: nothing is written, the session is gone or nobody counts.
   * @throws StoreUnavailable; Rejection `write_unreplicated`
   */
  async refused(ask: OutsideAsk): Promise<boolean> {
    const { sessions, settings } = this.#parts
    if (settings.contractAfter === 0 && settings.haltAfter === 0) return false
    const { facts, state, drift } = ask.held
    const expected = harder(await this.#ofPairs(ask), brakeAfter(drift + 1, settings))
    const isReached = expected !== undefined && isHarder(expected, state)
    if (isReached) await this.#brake(expected, ask, drift + 1)
    const change = countDrift(facts, ask.decision, drift)
    try {
      await sessions.commit({ ...change, contents: ask.contents }, `drift:${ask.key}`, ask.record)
    } catch (error) {
      if (error instanceof Rejection && error.reason === 'session_absent') return false
      throw error
    }
    if (isReached) return true
    // Others may have counted at the same time, none of whom saw that it was enough.
    const now = await sessions.driftOf(facts.id)
    const reached = now === undefined ? undefined : brakeAfter(now.count, settings)
    if (now !== undefined && reached !== undefined && isHarder(reached, now.state)) {
      await this.#brake(reached, ask, now.count)
    }
    return true
  }

  /** Takes a place for each agent; the hardest brake that any of them has come to. */
  async #ofPairs({ held, agents, key }: OutsideAsk): Promise<Brake | undefined> {
    const { subject } = held.facts
    const brakes = await Promise.all(agents.map((agent) => this.#ofPair(pairKey(subject.principal, agent), key)))
    return brakes.reduce(harder, undefined)
  }

  async #ofPair(pair: string, key: string): Promise<Brake | undefined> {
    const { store, cutoffs, settings } = this.#parts
    // What a reviewer has lifted is not held against anybody again.
    const since = cutoffs.set.liftedSeq('halt', pair)
    const isFull = async (brake: Brake, threshold: number) => {
      if (threshold <= 1) return threshold === 1
      // The last place is the one that is not there.
      const window = { name: `${brake}:${since}`, limit: threshold - 1 }
      const full = await store.windows.take(`drift:${pair}`, key, [window], settings.windowSeconds * 1000)
      return full !== undefined
    }
    const [isHalted, isContracted] = [
      await isFull('halted', settings.haltAfter),
      await isFull('contracted', settings.contractAfter),
    ]
    return isHalted ? 'halted' : isContracted ? 'contracted' : undefined
  }

  async #brake(brake: Brake, ask: OutsideAsk, count: number): Promise<void> {
    const { store, sessions, cutoffs } = this.#parts
    const { facts, node } = ask.held
    await cutoffs.write(store.control, this.#entries(brake, ask))
    const before = (await sessions.driftOf(facts.id))?.asks ?? []
    const asks = [...before.filter((id) => id !== ask.decision), ask.decision]
    const [agent = facts.rootAgent] = ask.agents
    const braked = { brake, agent, session: facts, node, count, asks }
    const isFirst = await this.#enter(braked)
    // Once more: what was issued between the two, by a record that still said active, has seen the first.
    await cutoffs.write(store.control, [accessCutoff(facts)])
    if (!isFirst) return
    store.indexes.add(BRAKED_INDEX, facts.id, facts.notAfter * 1000).catch(() => undefined)
    this.#parts.alarm(braked)
  }

  /** `false`: somebody was first, or it has ended: either way it is dead to whoever asked. */
  async #enter(braked: Braked): Promise<boolean> {
    const { sessions, recordOf } = this.#parts
    try {
      await sessions.commit({ ...brakeSession(braked.session, braked.brake), isEnd: true }, newJti(), recordOf(braked))
      return true
    } catch (error) {
      if (error instanceof Rejection) return false
      throw error
    }
  }

  #entries(brake: Brake, { held, agents }: OutsideAsk): readonly ControlWrite[] {
    const { facts } = held
    const { storeNowMs } = this.#parts.cutoffs
    const access = accessCutoff(facts)
    if (brake === 'contracted') return [access]
    const tokensEndMs = storeNowMs + (ACCESS_TOKEN_LIFETIME_S_MAX + CLOCK_SKEW_S) * 1000
    const pairs = haltedPairs(facts, agents)
    return [
      access,
      ...haltedEvidence(facts),
      ...pairs.flatMap((id): ControlWrite[] => [
        { entry: 'cutoff', dimension: 'pair_access', id, expiresAtMs: tokensEndMs },
        { entry: 'block', kind: 'halt', id, expiresAtMs: null },
      ]),
    ]
  }
}

/** Of the access tokens of a session: written before its record says that it is braked, and after. */
export function accessCutoff({ id, notAfter }: Pick<SessionFacts, 'id' | 'notAfter'>): ControlWrite {
  return { entry: 'cutoff', dimension: 'session_access', id, expiresAtMs: (notAfter + CLOCK_SKEW_S) * 1000 }
}

/** Whom a halt concerns: every agent that held what was asked with, and whoever opened the session. */
function haltedPairs({ subject, rootAgent }: SessionFacts, agents: readonly string[]): readonly string[] {
  return [...new Set([...agents, rootAgent])].map((agent) => pairKey(subject.principal, agent))
}

/** Also in other hands: whatever it opens would begin where this was halted. */
function haltedEvidence({ evidence }: SessionFacts): readonly ControlWrite[] {
  if (evidence === undefined) return []
  const expiresAtMs = (evidence.expiresAt + CLOCK_SKEW_S) * 1000
  return [{ entry: 'block', kind: 'halt', id: evidence.digest, expiresAtMs }]
}

function harder(a: Brake | undefined, b: Brake | undefined): Brake | undefined {
  return a === 'halted' || b === undefined ? a : b
}
