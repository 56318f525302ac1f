/**
 * Which addresses the broker may connect to: a name or URL under someone else's control must not steer it into its own
 * network (SSRF; RFC 8725bis on `jku`/`jwks_uri`, RFC 6890 special-purpose registries). Unknown forms are refused.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

export interface Address {
  readonly address: string
  readonly family: 4 | 6
}

/** RFC 6890 and its registry: everything that is not globally reachable unicast. */
const SPECIAL_V4 = subnets('ipv4', [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // shared address space
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // Azure's own services for a machine: not in the registry, and reached from inside only
  '169.254.0.0/16', // link-local: cloud metadata
  '172.16.0.0/12', // private
  '192.0.0.0/24', // IETF protocol assignments
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // 6to4 relay
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarking
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved and broadcast
])

/**
 * For IPv6 the allowed range is listed instead: only 2000::/3 is global unicast, which leaves out ::1, fc00::/7, fe80::/10,
 * ff00::/8, and the forms that smuggle an IPv4 address (::ffff:0:0/96, 64:ff9b::/96).
 */
const GLOBAL_V6 = subnets('ipv6', ['2000::/3'])
const SPECIAL_V6 = subnets('ipv6', [
  '2001::/23', // IETF protocol assignments, Teredo among them
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: wraps any IPv4 address
  '3fff::/20', // documentation
])

/** Where organisations number their own networks (RFC 1918, RFC 6598, RFC 4193). Reached by hosts that an operator names. */
const PRIVATE_V4 = subnets('ipv4', ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16'])
const PRIVATE_V6 = subnets('ipv6', ['fc00::/7'])
/** Cloud metadata services that stand within those ranges: credentials for whoever asks. */
const METADATA_V4 = subnets('ipv4', ['100.100.100.200/32'])
const METADATA_V6 = subnets('ipv6', ['fd00:ec2::/32', 'fd20:ce::/32'])

const LOOPBACK_V4 = subnets('ipv4', ['127.0.0.0/8'])

/** An IP literal as `URL.hostname` gives it (IPv6 in brackets); `undefined`: a name. */
export function literalAddress(hostname: string): Address | undefined {
  const bare = hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname
  if (isIPv4(bare)) return { address: bare, family: 4 }
  if (isIPv6(bare)) return { address: bare, family: 6 }
  return undefined
}

export function isLoopback({ address, family }: Address): boolean {
  return family === 4 ? isIPv4(address) && LOOPBACK_V4.check(address, 'ipv4') : address === '::1'
}

/** Globally reachable unicast: what the broker may connect to on the word of a name. */
export function isPublic({ address, family }: Address): boolean {
  if (family === 4) return isIPv4(address) && !SPECIAL_V4.check(address, 'ipv4')
  // A zone (`%eth0`) is only meaningful on a link, and would reach BlockList as a string it cannot judge.
  if (!isIPv6(address) || address.includes('%')) return false
  return GLOBAL_V6.check(address, 'ipv6') && !SPECIAL_V6.check(address, 'ipv6')
}

/** What the broker may connect to besides, on the word of a name that its operator has listed. Never link-local or metadata. */
export function isPrivate({ address, family }: Address): boolean {
  if (family === 4) {
    return isIPv4(address) && PRIVATE_V4.check(address, 'ipv4') && !METADATA_V4.check(address, 'ipv4')
  }
  if (!isIPv6(address) || address.includes('%')) return false
  return PRIVATE_V6.check(address, 'ipv6') && !METADATA_V6.check(address, 'ipv6')
}

function subnets(type: 'ipv4' | 'ipv6', blocks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const block of blocks) {
    const [network = '', prefix] = block.split('/')
    list.addSubnet(network, Number(prefix), type)
  }
  return list
}
