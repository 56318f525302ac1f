/** What an admin changed, for the record: from what to what, named by digests whose texts are kept beside it. */
import { sha256 } from '../kernel/digest.ts'
import { CONTENT_BYTES_MAX } from '../kernel/store-limits.ts'
import type { Change } from '../model/audit-record.ts'
import type { Content } from '../model/commit.ts'

export interface ChangeRecord {
  readonly change: Change
  /** A text that is too long to be kept is named all the same. */
  readonly contents: readonly Content[]
}

/** @param before `undefined`: there was nothing; `after`: there is nothing */
export function changeRecord(object: string, before: string | undefined, after: string | undefined): ChangeRecord {
  const [was, is] = [before, after].map((text) => (text === undefined ? undefined : { digest: sha256(text), text }))
  const named = [was, is].filter((content) => content !== undefined)
  const contents = named.filter(({ text }) => Buffer.byteLength(text) <= CONTENT_BYTES_MAX)
  const isCut = contents.length < named.length
  const change = {
    object,
    ...(was && { before: was.digest }),
    ...(is && { after: is.digest }),
    ...(isCut && { too_long: true as const }),
  }
  return { change, contents }
}
