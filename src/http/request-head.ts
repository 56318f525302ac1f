/**
 * The head of a request, in one spelling only (RFC 9112 §3.2). Whoever filters paths in front of the broker reads the same
 * path as the broker does: a target with dot segments, empty segments, backslashes or percent-encoding in its path is not
 * resolved to a known one, it names nothing. `Host` reaches nothing at all: the issuer comes from configuration alone.
 */

/** Names no endpoint, and is answered `request_malformed`. */
export const UNREADABLE_PATH = '/.unreadable'

interface Incoming {
  url?: string | undefined
  readonly httpVersion: string
  readonly rawHeaders: readonly string[]
  readonly headers: { host?: string | undefined; 'transfer-encoding'?: string | undefined }
}

/** Leaves a target in origin form, and a host that is always the same. @returns whether the head was in order */
export function normaliseHead(incoming: Incoming): boolean {
  const target = isFramed(incoming) && hasOneHost(incoming) ? originForm(incoming.url ?? '') : undefined
  incoming.url = target ?? UNREADABLE_PATH
  incoming.headers.host = 'broker.invalid'
  return target !== undefined
}

/** RFC 9112 §6.1: other transfer codings would be bytes that mean something else to whoever undoes them. */
function isFramed({ headers, httpVersion }: Incoming): boolean {
  const coding = headers['transfer-encoding']
  if (httpVersion === '1.1') return coding === undefined || coding.toLowerCase() === 'chunked'
  return httpVersion === '1.0' && coding === undefined
}

/** RFC 9112 §3.2: with more than one `Host`, two readers could disagree. */
function hasOneHost({ rawHeaders, httpVersion }: Incoming): boolean {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (name.length === 4 && name.toLowerCase() === 'host') count += 1
  }
  return count === 1 || (count === 0 && httpVersion === '1.0')
}

/** RFC 9112 §3.2.2: the authority of an absolute form is as little used as `Host`. */
const ABSOLUTE = /^https?:\/\/[^/?#@\\]+/i
const PLAIN = /^(?:\/[\w\-.~!$&'()*+,;=:@]+)*\/?(?:\?[\x21-\x7e]*)?$/
const DOT_SEGMENT = /^[^?]*\/\.\.?(?:[/?]|$)/

function originForm(target: string): string | undefined {
  const authority = ABSOLUTE.exec(target)
  const origin = authority === null ? target : target.slice(authority[0].length) || '/'
  return origin.startsWith('/') && PLAIN.test(origin) && !DOT_SEGMENT.test(origin) ? origin : undefined
}
