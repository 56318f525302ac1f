/**
 * A call that a server has announced, as it is kept from before it may run until it is known how it ended: which call it is, so
 * that its id stands for no other, and whose, so that its outcome is recorded with the same attribution as the attempt.
 */
import { sha256 } from '../kernel/digest.ts'
import type { ClientId, DecisionId, PrincipalId } from '../kernel/ids.ts'
import type { AuditRecord } from '../model/audit-record.ts'
import type { CaptureMode } from '../model/captured.ts'
import { canonicalJson } from '../registry/canonical-json.ts'
import type { DecisionBody } from './answer.ts'
import type { Prepared } from './judge.ts'

export const REPORTED = ['success', 'failure'] as const
export type Reported = (typeof REPORTED)[number]
/** What is kept of a call's end where nobody has reported one. */
export const UNKNOWN = 'unknown'
/** A refused call never runs: in front of the answer that was given. */
const REFUSED = 'refused '

export interface BegunCall {
  readonly attempt: string
  /** Of the question: a digest of the token, the tool and the arguments. */
  readonly asked: string
  /** When it was announced. */
  readonly atMs: number
  /** Of the attempt's record, and of its outcome's. */
  readonly decision: DecisionId
  /** The service that asked. */
  readonly by: PrincipalId
  /** Of the attempt's record: whose work the call is, and where. */
  readonly about: Partial<AuditRecord>
  /** How its response is captured, where the tool's manifest said so when it was announced. */
  readonly responses?: CaptureMode
}

/** Each service names its own calls. */
export const callKey = (service: ClientId, attempt: string): string => `${service}:${attempt}`

export const encodeBegun = (call: BegunCall): string => JSON.stringify(call)

/** Written by `encodeBegun` alone. */
export const decodeBegun = (text: string): BegunCall => JSON.parse(text) as BegunCall

export function askedDigest({ bearer, matter }: Prepared): string {
  const { resource, tool, container, arguments: given } = matter
  return sha256(canonicalJson([bearer?.token.digest ?? null, resource.url, tool, container ?? null, given ?? null]))
}

export const encodeRefusal = (body: DecisionBody): string => REFUSED + JSON.stringify(body)

/** `undefined`: it was not refused. */
export function refusalIn(ended: string | undefined): DecisionBody | undefined {
  if (ended?.startsWith(REFUSED) !== true) return undefined
  return JSON.parse(ended.slice(REFUSED.length)) as DecisionBody
}
