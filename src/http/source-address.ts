/**
 * Where a request came from: the socket's peer. A forwarded address is believed only from configured proxies, and then only
 * the one that the nearest of them wrote: what a client sends in `X-Forwarded-For` by itself stands further left.
 */
import { BlockList, isIP } from 'node:net'

export type SourceOf = (peer: string, forwardedFor: string | undefined) => string

/** Whether an address is in one of these networks; what is no address is in none. */
export function networksOf(networks: readonly string[]): (address: string) => boolean {
  const listed = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    listed.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family)
  }
  return (text) => {
    const address = plainAddress(text)
    return isIP(address) !== 0 && listed.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
}

export function sourceReader(trustedProxies: readonly string[]): SourceOf {
  const isTrusted = networksOf(trustedProxies)
  return (peer, forwardedFor) => {
    let source = peer
    for (const hop of forwardedFor?.split(',').reverse() ?? []) {
      const address = plainAddress(hop.trim())
      if (!isTrusted(source) || isIP(address) === 0) break
      source = address
    }
    return plainAddress(source)
  }
}

/** `::ffff:10.0.0.1` is `10.0.0.1`: a dual-stack socket must not make one peer two. */
function plainAddress(text: string): string {
  return text.toLowerCase().startsWith('::ffff:') && isIP(text.slice(7)) === 4 ? text.slice(7) : text
}
