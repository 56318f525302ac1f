/** Asks a witness to co-sign a checkpoint (C2SP tlog-witness, `add-checkpoint`). */
import { parseSize } from '../tlog/checkpoint.ts'
import { NOTE_CHARS_MAX, parseNote, signaturesBy } from '../tlog/note.ts'
import type { NoteKey } from '../tlog/note-keys.ts'
import type { GuardedPost } from './guarded-fetch.ts'
import { OutboundError } from './outbound-error.ts'

export interface WitnessAddress {
  /** Its submission prefix; `/add-checkpoint` is below it. */
  readonly url: string
  readonly key: NoteKey
}

export interface WitnessQuestion {
  /** What the witness is believed to have signed last, and the proof from there on. */
  readonly old: number
  readonly proof: readonly Buffer[]
  /** The checkpoint: a signed note. */
  readonly note: string
  readonly timeoutMs: number
}

/** `signed`: a line for under the note, checked. `known`: the size it has signed last. `refused`: no proof leads there. */
export type WitnessReply =
  | { readonly kind: 'signed'; readonly line: string }
  | { readonly kind: 'known'; readonly size: number }
  | { readonly kind: 'refused' }

/** @throws OutboundError where it cannot be asked, or answers otherwise; NoteError where its signature is not good */
export async function askWitness(
  post: GuardedPost,
  { url, key }: WitnessAddress,
  { old, proof, note, timeoutMs }: WitnessQuestion,
): Promise<WitnessReply> {
  const body = `old ${old}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`
  const headers = { 'content-type': 'text/plain; charset=utf-8' }
  const where = `${url.replace(/\/$/, '')}/add-checkpoint`
  const { status, text } = await post(where, { headers, body, timeoutMs, answerBytesMax: NOTE_CHARS_MAX })
  if (status === 422) return { kind: 'refused' }
  if (status === 409) return known(text, url)
  if (status !== 200) throw new OutboundError('status', `${new URL(url).host} answered with status ${status}`)
  const signed = parseNote(`${parseNote(note).text}\n${text}`)
  for (const line of signed.lines) {
    if ((await signaturesBy({ ...signed, lines: [line] }, [key])).length > 0) return { kind: 'signed', line }
  }
  throw new OutboundError('malformed', `${new URL(url).host} has not signed with the key that is configured for it`)
}

function known(text: string, url: string): WitnessReply {
  const size = text.endsWith('\n') ? parseSize(text.slice(0, -1)) : undefined
  if (size === undefined) throw new OutboundError('malformed', `${new URL(url).host} does not say which size it knows`)
  return { kind: 'known', size }
}
