/** Presence kills. */
export type AbsoluteDimension = 'node' | 'session' | 'key'
/** A token is dead iff a cut-off that concerns it has `seq > token.rv`. */
export type SequenceDimension = 'session_access' | 'agent' | 'user' | 'user_agent'
export type Dimension = AbsoluteDimension | SequenceDimension

/** Everything in this dimension decided before `seq` is dead. */
export interface Cutoff {
  readonly entry: 'cutoff'
  readonly dimension: Dimension
  /** Node, session or key id, client id, user principal, or `pairKey(user, agent)`. */
  readonly id: string
  readonly seq: number
  /** Time of the store when it was written: what foreign evidence is compared with. */
  readonly atMs: number
  /** After this, nothing it could concern is alive. */
  readonly expiresAtMs: number
}

export type BlockKind = 'agent' | 'user' | 'resource' | 'evidence' | 'pair'

/** A standing refusal, until lifted or expired. */
export interface Block {
  readonly entry: 'block'
  readonly kind: BlockKind
  /** Client id, user principal, resource URL, evidence digest, or `pairKey(subject, agent)`. */
  readonly id: string
  readonly seq: number
  readonly atMs: number
  /** `null`: until lifted. */
  readonly expiresAtMs: number | null
  /** For `pair`: evidence whose `auth_time` (`iat` where there is none) is later than this passes. Epoch seconds. */
  readonly newerThanS?: number
}

export interface Lift {
  readonly entry: 'lift'
  readonly kind: BlockKind
  readonly id: string
  readonly seq: number
  readonly atMs: number
}

export type ControlEntry = Cutoff | Block | Lift

export function pairKey(subject: string, clientId: string): string {
  return `${subject}|${clientId}`
}
