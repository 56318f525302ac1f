/**
 * The verifier's one door to the network: it speaks to the broker alone, at addresses its operator configured; bounded in time
 * and size, follows no redirect, and takes what it asked for only: JSON, or one kind of signed answer.
 */
import { JWKS_BYTES_MAX } from '../../kernel/limits.ts'
import { FETCH_TIMEOUT_MS } from '../../kernel/outbound-limits.ts'

export interface JsonRequest {
  readonly url: string
  /** POSTed as `application/x-www-form-urlencoded`; absent: a GET. */
  readonly form?: URLSearchParams
  /** The media type that is wanted and taken; absent: JSON. */
  readonly accept?: 'application/token-introspection+jwt'
}

/** The answer's text, with status 200 and the media type asked for. @throws on everything else. */
export type JsonDoor = (request: JsonRequest) => Promise<string>

export const jsonOverHttp: JsonDoor = async ({ url, form, accept }) => {
  const response = await fetch(url, {
    method: form === undefined ? 'GET' : 'POST',
    ...(form === undefined ? {} : { body: form }),
    headers: { accept: accept ?? 'application/json' },
    // A redirect would send the client assertion, or the trust in a key set, to an address nobody configured.
    redirect: 'error',
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`the broker answered with status ${response.status}`)
  }
  const type = response.headers.get('content-type') ?? ''
  const isWanted =
    accept === undefined ? /^application\/(?:[\w.-]+\+)?json(?:;|$)/.test(type) : type.split(';', 1)[0] === accept
  if (!isWanted) {
    await response.body?.cancel()
    throw new Error(`the broker answered with something other than ${accept ?? 'JSON'}`)
  }
  return boundedText(response)
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > JWKS_BYTES_MAX) throw new Error('the broker answered with too much')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
