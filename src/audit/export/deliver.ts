/**
 * One POST to a sink, and what its answer means: only 2xx is taken, everything else is sent again.
 * `refusedIn`: what of a message that was taken is said not to be.
 */
import { EXPORT_RETRY_AFTER_MS_MAX, EXPORT_TIMEOUT_MS } from '../../kernel/telemetry-limits.ts'
import type { GuardedPost, PostAnswer } from '../../net/guarded-fetch.ts'
import { readHeaders, readLocalText } from '../../net/local-files.ts'
import { OutboundError } from '../../net/outbound-error.ts'
import type { Delivery, Refused } from './sink.ts'

export interface SinkAddress {
  readonly url: string
  /** Absolute path of a file with headers for it, read anew each time. */
  readonly headersFile: string | undefined
  /** Absolute path of the authorities (PEM) that its certificate is from; `undefined`: the public ones. */
  readonly caFile: string | undefined
}

export interface DeliveryParts {
  readonly post: GuardedPost
  readonly nowMs: () => number
  /** What went wrong, for the log. */
  readonly failed: (error: unknown) => void
}

export async function deliver(
  { url, headersFile, caFile }: SinkAddress,
  message: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  { post, nowMs, failed }: DeliveryParts,
  refusedIn?: (answer: string) => Refused | undefined,
): Promise<Delivery> {
  try {
    const headers = { ...(await readHeaders(headersFile)), 'content-type': 'application/json', ...message.headers }
    const ca = caFile === undefined ? undefined : await readLocalText(caFile)
    const answer = await post(url, { headers, body: message.body, timeoutMs: EXPORT_TIMEOUT_MS, ca })
    if (answer.status >= 200 && answer.status < 300) return { kind: 'taken', refused: refusedIn?.(answer.text) }
    failed(new OutboundError('status', `it answered with status ${answer.status}`))
    return { kind: 'not_taken', why: failureOf(answer.status), retryAfterMs: retryAfterMs(answer, nowMs()) }
  } catch (error) {
    failed(error)
    return { kind: 'not_taken', why: 'unreachable', retryAfterMs: undefined }
  }
}

function failureOf(status: number) {
  if (status === 413) return 'too_large'
  return status === 429 || status === 503 ? 'limited' : 'status'
}

/** RFC 9110 §10.2.3: seconds or a date; within bounds, or a receiver could be rid of the audit for good. */
function retryAfterMs({ retryAfter }: PostAnswer, nowMs: number): number | undefined {
  if (retryAfter === undefined) return undefined
  const ms = /^\d{1,9}$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - nowMs
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), EXPORT_RETRY_AFTER_MS_MAX)
}
