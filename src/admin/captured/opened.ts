/** What a record names as captured, as far as it can still be opened. */
import type { DataKeys } from '../../audit/captured/data-keys.ts'
import { openContent, readSealed, type Sealed } from '../../audit/captured/sealed-content.ts'
import type { AuditTrail } from '../../audit/trail/audit-trail.ts'
import type { AuditRecord } from '../../model/audit-record.ts'
import { type CapturedKind, DIGEST_ONLY } from '../../model/captured.ts'

export interface OpeningParts {
  readonly trail: AuditTrail
  readonly dataKeys: DataKeys
}

/**
 * `digest`: it was never kept. `gone`: no longer, with its record's body or its key. `unreadable`: what is kept there was sealed
 * as something else.
 */
export type Opened =
  | { readonly state: 'open'; readonly text: string; readonly truncated?: true; readonly whole?: string }
  | { readonly state: 'erased'; readonly by: string }
  | { readonly state: 'key_missing'; readonly kek: string }
  | { readonly state: 'digest' | 'gone' | 'unreadable' }

/** @throws StoreUnavailable */
export async function opened(record: AuditRecord, kind: CapturedKind, parts: OpeningParts): Promise<Opened> {
  const name = record.captured?.[kind]
  if (name === undefined) return { state: 'gone' }
  if (name.startsWith(DIGEST_ONLY)) return { state: 'digest' }
  const sealed = await sealedOf(record, name, parts)
  if (sealed === undefined) return { state: 'gone' }
  const found = await parts.dataKeys.find(sealed)
  if (found.state === 'missing') return { state: 'key_missing', kek: found.kek }
  if (found.state !== 'found') return found.state === 'erased' ? found : { state: 'gone' }
  const content = openContent(sealed, { record: record.id, kind }, found.key)
  if (content === undefined) return { state: 'unreadable' }
  const { text, whole } = content
  return { state: 'open', text, ...(whole === undefined ? {} : { truncated: true, whole }) }
}

/** As it is kept beside its record; `undefined`: it is not, or no longer. @throws StoreUnavailable */
export async function sealedOf(
  record: AuditRecord,
  digest: string,
  { trail }: Pick<OpeningParts, 'trail'>,
): Promise<Sealed | undefined> {
  const { call, by } = record
  const text =
    (await trail.content(digest, record)) ??
    // The end of a call is written where the call is, and found there until it is in the log.
    (call && (await trail.content(digest, { id: `${by.slice(by.indexOf(':') + 1)}:${call.attempt}` })))
  return text === undefined ? undefined : readSealed(text)
}
