/**
 * What was captured with one record, erased: its data keys are no more, and what they sealed opens for nobody. The sealed texts
 * stay as they are, and with them every proof of the audit. On record before it is done, and which record that is, is told
 * instead of what was erased.
 */
import { Rejection } from '../../kernel/rejection.ts'
import { CAPTURED_KINDS, type CapturedKind, DIGEST_ONLY } from '../../model/captured.ts'
import { type ChangeRequest, onRecord } from '../on-record.ts'
import { disclosureReason } from './disclosure-reason.ts'
import { sealedOf } from './opened.ts'
import type { CapturedParts } from './read-captured.ts'

export interface ErasureAsked {
  readonly record: string
  readonly reason: string | undefined
}

export interface Erasure {
  readonly record: string
  readonly erased: readonly CapturedKind[]
  /** By an earlier record, which a reading names. */
  readonly erased_before: readonly CapturedKind[]
  /** Named by the record, and not kept: there is nothing of them to erase. */
  readonly not_kept: readonly CapturedKind[]
  /** The record of this. */
  readonly by: string
}

/** @throws RefusedRequest */
export function eraseCaptured(request: ChangeRequest, ask: () => ErasureAsked, parts: CapturedParts): Promise<Erasure> {
  return onRecord(request, 'captured.erase', parts.auditor, async (_caller, draft) => {
    const { record, reason: given } = ask()
    const reason = disclosureReason(given)
    const found = (await parts.trail.find(record)).map((entry) => entry.record)
    const kinds = CAPTURED_KINDS.filter((kind) => found.some(({ captured }) => captured?.[kind] !== undefined))
    draft.add({ disclosure: { of: record.slice(0, 64), kinds, reason } })
    if (kinds.length === 0) throw new Rejection('not_found', 'nothing was captured with a record of this id')
    await parts.auditor.log.append(draft.id, draft.intended())
    const [erased, before] = [new Set<CapturedKind>(), new Set<CapturedKind>()]
    for (const one of found) {
      for (const kind of kinds) {
        const name = one.captured?.[kind]
        if (name === undefined || name.startsWith(DIGEST_ONLY)) continue
        const sealed = await sealedOf(one, name, parts)
        if (sealed === undefined) continue
        const by = await parts.dataKeys.erase(sealed, draft.id)
        if (by !== undefined) (by === draft.id ? erased : before).add(kind)
      }
    }
    return {
      record,
      erased: kinds.filter((kind) => erased.has(kind)),
      erased_before: kinds.filter((kind) => before.has(kind) && !erased.has(kind)),
      not_kept: kinds.filter((kind) => !before.has(kind) && !erased.has(kind)),
      by: draft.id,
    }
  })
}
