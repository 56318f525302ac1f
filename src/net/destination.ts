/**
 * Where a URL leads, decided before anything is sent: its host is resolved once, every address is checked, and only the
 * checked ones are connected to.
 */
import { lookup } from 'node:dns/promises'
import type { LookupFunction } from 'node:net'
import { type Address, isLoopback, isPrivate, isPublic, literalAddress } from './addresses.ts'
import { OutboundError } from './outbound-error.ts'

/** All addresses of a name. */
export type ResolveHost = (hostname: string) => Promise<readonly Address[]>

export interface GuardedFetchOptions {
  /** For development and tests on one machine: loopback, over http too, and nothing else that is special. */
  readonly allowLoopback: boolean
  /** Hosts as URLs spell them (`host`, or `host:port` where it is not 443) that may have private addresses. */
  readonly internalHosts?: ReadonlySet<string> | undefined
  /** Instead of the system's resolver. */
  readonly resolveHost?: ResolveHost
}

/** @throws OutboundError where it may not be connected to */
export async function addressesOf(
  url: URL,
  options: GuardedFetchOptions,
  deadline: AbortSignal,
): Promise<readonly Address[]> {
  const addresses = await raceDeadline(resolveOnce(url, options.resolveHost ?? resolveWithSystem), deadline)
  refuseAddresses(url, addresses, options)
  return addresses
}

/** @throws OutboundError */
export function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new OutboundError('url_refused', 'only absolute https URLs are fetched')
  }
  if (url.username !== '' || url.password !== '')
    throw new OutboundError('url_refused', 'a URL must not carry credentials')
  return url
}

/** The URL parser has already turned `0x7f.1`, `2130706433` and the like into dotted form. */
async function resolveOnce(url: URL, resolveHost: ResolveHost): Promise<readonly Address[]> {
  const literal = literalAddress(url.hostname)
  return literal === undefined ? await resolveHost(url.hostname) : [literal]
}

async function resolveWithSystem(hostname: string): Promise<readonly Address[]> {
  const found = await lookup(hostname, { all: true, order: 'verbatim' })
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }))
}

/** One bad address among good ones refuses them all: which one is tried first is not ours to choose. */
function refuseAddresses(url: URL, addresses: readonly Address[], options: GuardedFetchOptions): void {
  if (addresses.length === 0) throw new OutboundError('unreachable', `${url.host} has no address`)
  if (options.allowLoopback && addresses.every(isLoopback)) return
  if (url.protocol !== 'https:') throw new OutboundError('url_refused', `${url.host} must be fetched over https`)
  if (options.internalHosts?.has(url.host) && addresses.every(isPrivate)) return
  if (!addresses.every(isPublic)) {
    throw new OutboundError('address_refused', `${url.host} resolves to a special-use address (RFC 6890)`)
  }
}

/** Answers with the addresses that were checked, whatever the resolver would say by now. */
export function pinned(addresses: readonly Address[]): LookupFunction {
  return (_hostname, options, callback) => {
    const [first] = addresses
    if (options.all === true) callback(null, [...addresses])
    else callback(null, first?.address ?? '', first?.family ?? 4)
  }
}

/** The system's resolver cannot be aborted; waiting for it can. */
function raceDeadline<T>(work: Promise<T>, deadline: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    deadline.addEventListener('abort', () => reject(deadline.reason), { once: true })
    work.then(resolve, reject)
  })
}
