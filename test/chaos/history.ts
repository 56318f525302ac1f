/**
 * What happened in a run, as the one process saw it that drove it: times are of one clock, so that "before" means before, and each
 * call has the moment it was begun and the moment its answer was there. Kept as JSON Lines: a run can be judged again.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Verdict } from '../support/verifier-child.ts'

/** A token by what revocations can name: itself, its session, the nodes it hangs below. */
export interface Issued {
  readonly token: string
  readonly session: string
  /** Root first, its own node last. */
  readonly nodes: readonly string[]
}

interface Call {
  /** Milliseconds since the run began. */
  readonly begunAt: number
  readonly at: number
}

export type Flow = 'open' | 'continue' | 'delegate' | 'accept'

export interface Granted extends Call, Issued {
  readonly kind: 'granted'
  readonly how: Flow
  /** What may be used only once, and was used for this. */
  readonly once?: string
  /** The tokens it was got with. */
  readonly from?: string
}

export interface Refused extends Call {
  readonly kind: 'refused'
  readonly how: Flow
  /** `no_answer`: nobody knows what became of it. */
  readonly reason: string
}

/** Told by the broker to have happened; only that is promised to last. */
export interface Revoked extends Call {
  readonly kind: 'revoked'
  /** Id of a token, a node or a session. */
  readonly target: string
}

export interface Unrevoked extends Call {
  readonly kind: 'revoke_failed'
  readonly target: string
  readonly reason: string
}

export interface Verified extends Call, Issued {
  readonly kind: 'verified'
  readonly verifier: string
  readonly verdict: Verdict
}

export interface Fault {
  readonly kind: 'fault' | 'healed'
  readonly at: number
  readonly what: string
}

/** The fault is over, and a broker still gives nothing. */
export interface NotBack {
  readonly kind: 'not_back'
  readonly at: number
  readonly what: string
}

export type Happening = Granted | Refused | Revoked | Unrevoked | Verified | Fault | NotBack

/** How long a revocation may be believed undone after it was acknowledged, by design: milliseconds. */
export interface Bounds {
  /** By a broker that has not heard. */
  readonly brokerMs: number
  /** By a verifier of this name. */
  readonly verifierMs: Readonly<Record<string, number>>
}

export interface History {
  readonly seed: number
  readonly topology: string
  readonly bounds: Bounds
  readonly happenings: readonly Happening[]
}

export function writeHistory(path: string, { happenings, ...head }: History): void {
  writeFileSync(path, [head, ...happenings].map((line) => `${JSON.stringify(line)}\n`).join(''))
}

export function readHistory(path: string): History {
  const [head = '{}', ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n')
  return { ...JSON.parse(head), happenings: lines.map((line) => JSON.parse(line)) }
}
