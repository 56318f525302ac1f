/**
 * What is captured beside a record, as far as somebody has decided that it is: credentials taken out, cut to its bound, and
 * sealed, or named by a digest.
 *
 * Guarantees: what was to be sealed and could not be is a refusal, so that nothing happens without what was demanded of it; a
 * text that is not kept is not recognised by its digest in another record.
 */
import {
  CAPTURED_ARGUMENTS_BYTES_MAX,
  CAPTURED_PROMPT_BYTES_MAX,
  CAPTURED_RESPONSE_BYTES_MAX,
  CAPTURED_TRACE_BYTES_MAX,
} from '../../kernel/capture-limits.ts'
import { sha256 } from '../../kernel/digest.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { type CapturedKind, type CaptureMode, type CaptureSettings, DIGEST_ONLY } from '../../model/captured.ts'
import { StoreUnavailable } from '../../store/ports.ts'
import type { AuditDraft } from '../audit-draft.ts'
import type { DataKeys } from './data-keys.ts'
import { withoutCredentials } from './redact.ts'
import { type CapturedText, sealContent } from './sealed-content.ts'

const BYTES_MAX: Readonly<Record<CapturedKind, number>> = {
  prompt: CAPTURED_PROMPT_BYTES_MAX,
  arguments: CAPTURED_ARGUMENTS_BYTES_MAX,
  response: CAPTURED_RESPONSE_BYTES_MAX,
  trace: CAPTURED_TRACE_BYTES_MAX,
}

export interface Capturing {
  readonly kind: CapturedKind
  /** `undefined`: nobody has said anything. */
  readonly text: string | undefined
  readonly session: string | undefined
  /** Where the tool's manifest says so; absent: as the configuration says. */
  readonly mode?: CaptureMode | undefined
}

export class Capture {
  readonly #settings: CaptureSettings
  readonly #keys: DataKeys

  constructor(settings: CaptureSettings, keys: DataKeys) {
    this.#settings = settings
    this.#keys = keys
  }

  modeOf(kind: CapturedKind, override?: CaptureMode): CaptureMode {
    return override ?? this.#settings[kind]
  }

  /**
   * Puts it on this record, whose session, if it has one, is the one given. What is not to be captured changes nothing.
   * @throws Rejection `capture_unavailable`
   */
  async onto(draft: AuditDraft, { kind, text: given, session = '', mode }: Capturing): Promise<void> {
    const wanted = this.modeOf(kind, mode)
    if (wanted === 'off' || given === undefined) return
    const text = withoutCredentials(given.toWellFormed())
    const belonging = { record: draft.id, kind, session }
    const cut = wanted === 'sealed' ? withinBounds(text, kind) : undefined
    if (cut === undefined) {
      draft.addCaptured({ kind, name: DIGEST_ONLY + digestOnly(draft.id, kind, text), content: undefined })
      return
    }
    try {
      const sealed = sealContent(cut, belonging, await this.#keys.take())
      const digest = sha256(sealed)
      draft.addCaptured({ kind, name: digest, content: { digest, text: sealed } })
    } catch (cause) {
      const why = cause instanceof StoreUnavailable ? 'the store did not answer' : 'there is no key to seal it with'
      throw new Rejection('capture_unavailable', `the ${kind} has to be captured and could not be: ${why}`, {
        retryAfterSeconds: 1,
        cause,
      })
    }
  }
}

/** Of a text that is not kept: whoever has it can prove that it was this one. With the record in it, as a salt. */
export function digestOnly(record: string, kind: CapturedKind, text: string): string {
  return sha256(`${record}\n${kind}\n${text}`)
}

/** `undefined`: it is kept whole or not at all. A cut text can be read; of cut arguments nobody knows what was in them. */
function withinBounds(text: string, kind: CapturedKind): CapturedText | undefined {
  const bytes = Buffer.from(text)
  if (bytes.length <= BYTES_MAX[kind]) return { text }
  if (kind === 'arguments') return undefined
  // Not within a character: what is behind the cut of one is replaced, and goes.
  const kept = bytes.toString('utf8', 0, BYTES_MAX[kind]).replace(/\uFFFD$/, '')
  return { text: kept, whole: sha256(text) }
}
