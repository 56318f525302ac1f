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

export function isLoopbackHost(hostname: string): boolean {
  const address = literalAddress(hostname)
  return address === undefined ? hostname === 'localhost' : isLoopback(address)
}
