/** Which URLs an operator's document may name: https anywhere, plain http only on this machine. */
import { isLoopback, literalAddress } from '../net/addresses.ts'

/** What is wrong with the URL, or `undefined`. */
export function urlProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be an absolute URL'
  const url = new URL(text)
  if (/[\s\\#]/.test(text)) return 'must not have a fragment, spaces or backslashes'
  if (url.username !== '' || url.password !== '') return 'must not carry a user name or password'
  if (url.protocol === 'https:') return undefined
  if (url.protocol === 'http:' && isLoopbackHost(url.hostname)) return undefined
  return 'must be https (plain http only on a loopback address)'
}

const CLIENT_URL = /^https?:\/\/[A-Za-z0-9.:[\]-]+(?:\/[A-Za-z0-9._~-]+)+\/?$/
const CLIENT_URL_CHARS_MAX = 128

/**
 * What is wrong with the URL as a client id (draft-ietf-oauth-client-id-metadata-document section 3), or `undefined`. Compared as
 * text wherever it stands, so it has one spelling: as URLs parse, with a path, without query, escapes or dot segments.
 */
export function clientUrlProblem(text: string): string | undefined {
  const problem = urlProblem(text)
  if (problem !== undefined) return `as a client metadata URL it ${problem}`
  if (text.length > CLIENT_URL_CHARS_MAX) return `a client metadata URL has at most ${CLIENT_URL_CHARS_MAX} characters`
  if (!CLIENT_URL.test(text))
    return 'a client metadata URL needs a path of letters, digits, "." "_" "~" "-", and no query'
  const { href } = new URL(text)
  return href === text ? undefined : `a client metadata URL is written as URLs parse: ${href}`
}

export function isLoopbackHost(hostname: string): boolean {
  const address = literalAddress(hostname)
  return address === undefined ? hostname === 'localhost' : isLoopback(address)
}
