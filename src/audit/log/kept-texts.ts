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
  const { event, outcome } = record
  return namedTexts(record).filter(([member]) => {
    // Of a token that nobody was given in the end it is named, and not kept.
    if (member === 'authority') return outcome === 'granted'
    // Whoever answers an approval names it again, elsewhere.
    return member !== 'sealed' || event === 'approval.requested'
  })
}

/** Every text that it names by digest, wherever that is kept. */
export function namedTexts({ question, authority, sealed, captured, change }: AuditRecord): readonly KeptText[] {
  const named: KeptText[] = []
  const add = (member: string, digest: string | undefined) => {
    if (digest !== undefined && !digest.startsWith(DIGEST_ONLY)) named.push([member, digest])
  }
  add('question', question)
  add('authority', authority)
  add('sealed', sealed)
  for (const [kind, name] of Object.entries(captured ?? {})) add(`captured.${kind}`, name)
  if (change?.too_long === true) return named
  add('change.before', change?.before)
  add('change.after', change?.after)
  return named
}
