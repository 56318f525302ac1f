/** One text for one value of the registry, whatever it is made of: two that read alike say the same. */
import { KeyObject } from 'node:crypto'

export function fingerprint(value: unknown): string {
  if (value instanceof KeyObject) return value.export({ type: 'spki', format: 'pem' }).toString()
  if (value instanceof Uint8Array) return `b${Buffer.from(value).toString('hex')}`
  if (value instanceof Map) return `m${listed([...value].map(([key, member]) => fingerprint([key, member])).sort())}`
  if (value instanceof Set) return `s${listed([...value].map(fingerprint).sort())}`
  if (Array.isArray(value)) return listed(value.map(fingerprint))
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined)
    return `{${members
      .map(([name, member]) => `${JSON.stringify(name)}:${fingerprint(member)}`)
      .sort()
      .join(',')}}`
  }
  return value === undefined ? 'u' : JSON.stringify(value)
}

function listed(members: readonly string[]): string {
  return `[${members.join(',')}]`
}

export function isSame(a: unknown, b: unknown): boolean {
  return a === b || fingerprint(a) === fingerprint(b)
}

/** Whether each member of `before` is still there, as it was. */
export function keepsAll(before: readonly unknown[], after: readonly unknown[]): boolean {
  const kept = new Set(after.map(fingerprint))
  return before.every((member) => kept.has(fingerprint(member)))
}
