/** What a source is counted as: an IPv4 address, the network of an IPv6 address, or whatever text the transport had. */
import { isIPv6 } from 'node:net'
import { NAME_CHARS_MAX, SOURCE_IPV6_BITS } from '../kernel/limits.ts'

const GROUPS = 8
const COUNTED_GROUPS = SOURCE_IPV6_BITS / 16

/** `2001:db8:1:2::9` → `2001:db8:1:2::/64`. */
export function sourceKey(source: string): string {
  if (!source.includes(':') || !isIPv6(source)) return source.slice(0, NAME_CHARS_MAX)
  const [address = ''] = source.toLowerCase().split('%', 1) // without a zone
  const [head = '', tail] = address.split('::')
  const left = groups(head)
  const right = tail === undefined ? [] : groups(tail)
  const zeros = Array.from({ length: Math.max(GROUPS - left.length - right.length, 0) }, () => '0')
  const counted = [...left, ...zeros, ...right].slice(0, COUNTED_GROUPS)
  return `${counted.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/${SOURCE_IPV6_BITS}`
}

/** A dotted end stands for two groups, and is never among the counted ones. */
function groups(text: string): readonly string[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group]))
}
