/**
 * Which texts lie beside a record: those it names by digest and that were written with it, in one write. Whoever verifies the log
 * misses one that is gone; what is named and was never kept is not among them.
 */
import type { AuditRecord } from '../../model/audit-record.ts'
import { DIGEST_ONLY } from '../../model/captured.ts'

/** Member of the record, and the digest that it names. */
export type KeptText = readonly [member: string, digest: string]

export function keptTexts(record: AuditRecord): readonly KeptText[] {
  // It says how another record of its id ended: the texts are that one's, if there ever was one.
  if (record.outcome === 'undone' || record.reason === 'store_unavailable') return []
  const { event, question, authority, sealed, captured = {}, change, outcome } = record
  const named: readonly (readonly [string, string | undefined])[] = [
    ['question', question],
    // Of a token that nobody was given in the end it is named, and not kept.
    ['authority', outcome === 'granted' ? authority : undefined],
    // Whoever answers an approval names it again, elsewhere.
    ['sealed', event === 'approval.requested' ? sealed : undefined],
    ...Object.entries(captured).map(([kind, name]) => [`captured.${kind}`, name] as const),
    ...(change?.too_long === true
      ? []
      : ([
          ['change.before', change?.before],
          ['change.after', change?.after],
        ] as const)),
  ]
  return named.filter((one): one is KeptText => one[1] !== undefined && !one[1].startsWith(DIGEST_ONLY))
}
