/** Which slot of a Redis Cluster a tag lies in, and which server serves which slots (Redis Cluster specification). */

const SLOTS = 16_384

export interface SlotRange {
  readonly from: number
  readonly to: number
  /** `host:port` of the primary. */
  readonly primary: string
  readonly replicas: readonly string[]
}

/** CRC16 of the tag (XMODEM: polynomial 0x1021, begun with 0), modulo the number of slots. */
export function slotOfTag(tag: string): number {
  let crc = 0
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? (crc << 1) & 0xffff : ((crc << 1) ^ 0x1021) & 0xffff
  }
  return crc % SLOTS
}

/**
 * The answer to `CLUSTER SLOTS`.
 * @param askedHost where a node does not know its own address it names none: it is where it was asked
 */
export function slotRanges(answer: unknown, askedHost: string): readonly SlotRange[] {
  if (!Array.isArray(answer)) return []
  return answer.flatMap((range: unknown) => {
    const [from, to, primary, ...replicas] = range as [number, number, ...Node[]]
    const address = addressOf(primary, askedHost)
    if (address === undefined) return []
    return [{ from, to, primary: address, replicas: replicas.flatMap((node) => addressOf(node, askedHost) ?? []) }]
  })
}

type Node = readonly [string | null, number, ...unknown[]]

function addressOf(node: Node | undefined, askedHost: string): string | undefined {
  if (node === undefined || node[0] === '?') return undefined
  return `${node[0] || askedHost}:${node[1]}`
}

/** An IPv6 address has colons of its own, in brackets or not. */
export function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon)
  return { host: host.startsWith('[') ? host.slice(1, -1) : host, port: Number(address.slice(colon + 1)) }
}

/** The target of `MOVED 3999 host:port` or `ASK 3999 host:port`. */
export function redirection(words: string, askedHost: string): string {
  const [, , address = ''] = words.split(' ')
  return /^:[0-9]+$/.test(address) ? `${askedHost}${address}` : address
}
