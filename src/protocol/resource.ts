/** RFC 8707 §2 resource indicators: how two spellings of one URL are compared. The registered spelling is what is emitted. */
import { detached } from '../kernel/detached.ts'
import { Rejection } from '../kernel/rejection.ts'

/**
 * Canonical form: lower-case scheme and host, no default port, no one trailing slash. Queries are kept, fragments refused.
 * @throws Rejection `resource_malformed` for anything that is not an absolute http(s) URL without fragment or userinfo.
 */
export function canonicalResource(text: string): string {
  const known = canonical.get(text)
  if (known !== undefined) return known
  if (text.length > KNOWN_CHARS_MAX) return canonicalForm(text)
  // The form, too, is made of parts of the text.
  const own = detached(text)
  const form = canonicalForm(own)
  if (canonical.size >= KNOWN_MAX) canonical.clear()
  canonical.set(own, form)
  return form
}

/** A server is named again and again by the same text; forgotten together when there are too many. */
const canonical = new Map<string, string>()
const KNOWN_MAX = 1_024
const KNOWN_CHARS_MAX = 256

function canonicalForm(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new Rejection('resource_malformed', 'resource must be an absolute URL (RFC 8707 section 2)')
  }
  // Dot segments, backslashes and control characters are resolved away by the URL parser: an indicator that only
  // matches after such repair is not the one that was registered.
  if (/[\s\\]|\/\.{1,2}(?:\/|$)|%2e/i.test(text))
    throw new Rejection('resource_malformed', 'resource must be written in plain form')
  // `https:host` and `https:///host` are further repairs of its.
  if (!/^https?:\/\/[^/]/i.test(text)) {
    throw new Rejection('resource_malformed', 'resource must be an http or https URL')
  }
  if (text.includes('#'))
    throw new Rejection('resource_malformed', 'resource must not have a fragment (RFC 8707 section 2)')
  if (url.username !== '' || url.password !== '')
    throw new Rejection('resource_malformed', 'resource must not carry credentials')
  const path = url.pathname.endsWith('/') ? url.pathname.slice(0, -1) : url.pathname
  return `${url.protocol}//${url.host}${path}${url.search}`
}
