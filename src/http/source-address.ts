/**
 * Where a request came from: the socket's peer. A forwarded address is believed only from configured proxies, and then only
 * the one that the nearest of them wrote: what a client sends in `X-Forwarded-For` by itself stands further left.
 */
import { BlockList, isIP } from 'node:net'

export type SourceOf = (peer: string, forwardedFor: string | undefined) => string

export function sourceReader(trustedProxies: readonly string[]): SourceOf {
  const trusted = new BlockList()
  for (const network of trustedProxies) {
    const [address = '', prefix] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    trusted.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family)
  }
  const isTrusted = (text: string) => {
    const address = plainAddress(text)
    return isIP(address) !== 0 && trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
  return (peer, forwardedFor) => {
    let source = peer
    for (const hop of (forwardedFor ?? '').split(',').reverse()) {
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
