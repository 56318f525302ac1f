/**
 * Who may use the proxy: whoever knows its path, from this machine, and no page in a browser. The path is a secret: everybody on
 * the machine reaches its loopback address, other users and their sandboxes included.
 */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { sha256 } from '../../kernel/digest.ts'

const SECRET = /^[A-Za-z0-9_-]{32,128}$/

/** 192 bits. */
export function newPathSecret(): string {
  return randomBytes(24).toString('base64url')
}

export function isPathSecret(text: string): boolean {
  return SECRET.test(text)
}

export interface Refusal {
  readonly status: 403 | 404 | 405
  readonly why: string
}

export interface Gate {
  readonly port: number
  readonly secret: string
}

/** `undefined`: it may pass. Checked before a byte of its body is read. */
export function refusalOf({ method, url, headers }: IncomingMessage, { port, secret }: Gate): Refusal | undefined {
  const hosts = ['127.0.0.1', 'localhost', '[::1]'].map((name) => `${name}:${port}`)
  // A page whose name was made to lead here (DNS rebinding) sends its own name as the host.
  if (!hosts.includes((headers.host ?? '').toLowerCase()))
    return { status: 403, why: 'this is not the host it asks for' }
  // Whatever says where it comes from is a page; of those only one from here itself would be no stranger.
  const { origin } = headers
  if (origin !== undefined && !hosts.includes(origin.toLowerCase().replace(/^http:\/\//, '')))
    return { status: 403, why: 'pages of other origins are not served' }
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    return { status: 403, why: 'pages of other sites are not served' }
  const [path = ''] = (url ?? '').split('?')
  // Digests of the same length: comparing tells nothing of how much was right.
  if (sha256(path) !== sha256(`/${secret}`)) return { status: 404, why: 'nothing is here' }
  return method === 'POST' || method === 'GET' || method === 'DELETE'
    ? undefined
    : { status: 405, why: 'MCP has POST, GET and DELETE' }
}
