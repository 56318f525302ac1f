/**
 * One captured text, for whoever investigates (R160, R204).
 *
 * Guarantees: who reads which and why is on record before the text leaves; where that cannot be recorded, nothing is read.
 */
import { Rejection } from '../../kernel/rejection.ts'
import { CAPTURED_KINDS, type CapturedKind } from '../../model/captured.ts'
import type { TrailParts } from '../audit/read-trail.ts'
import { type ChangeRequest, onRecord } from '../on-record.ts'
import { disclosureReason } from './disclosure-reason.ts'
import { type Opened, type OpeningParts, opened } from './opened.ts'

export interface CapturedParts extends TrailParts, OpeningParts {}

export interface CapturedAsked {
  readonly record: string
  readonly kind: string
  readonly reason: string | undefined
}

export type CapturedAnswer = Opened & {
  readonly record: string
  readonly kind: CapturedKind
  /** Of the record that it is beside. */
  readonly at: string
  readonly event: string
  /** How the record names it: SHA-256 of what is kept, sealed. */
  readonly captured: string
}

/** @param ask read once it is known who asks. @throws RefusedRequest */
export function readCaptured(
  request: ChangeRequest,
  ask: () => CapturedAsked,
  parts: CapturedParts,
): Promise<CapturedAnswer> {
  return onRecord(request, 'captured.read', parts.auditor, async (_caller, draft) => {
    const { record: id, kind: given, reason } = ask()
    const kind = CAPTURED_KINDS.find((known) => known === given)
    if (kind === undefined) {
      throw new Rejection('parameter_malformed', `what is captured is one of ${CAPTURED_KINDS.join(', ')}`)
    }
    draft.add({ disclosure: { of: id.slice(0, 64), kinds: [kind], reason: disclosureReason(reason) } })
    const found = (await parts.trail.find(id)).findLast(({ record }) => record.captured?.[kind] !== undefined)
    const captured = found?.record.captured?.[kind]
    if (found === undefined || captured === undefined) {
      throw new Rejection('not_found', `no ${kind} was captured with a record of this id`)
    }
    const { id: record, at, event } = found.record
    const answer = await opened(found.record, kind, parts)
    draft.add({ detail: answer.state })
    return { record, kind, at, event, captured, ...answer }
  })
}
