/** One text for one value: keys sorted, no white space. What a version is the digest of. */
import { Sha256 } from '../kernel/digest.ts'
import type { Sliced } from '../kernel/slices.ts'

export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = membersOf(value).map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`)
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value)
}

/** SHA-256 of `canonicalJson(value)`, of which no more is written at a time than an entry of a list in a document. */
export function* canonicalDigest(value: unknown): Sliced<string> {
  const digest = new Sha256()
  yield* addPieces(digest, value, 2)
  return digest.digest()
}

function* addPieces(digest: Sha256, value: unknown, levels: number): Sliced<undefined> {
  if (levels === 0 || typeof value !== 'object' || value === null) {
    digest.add(canonicalJson(value))
    yield
    return
  }
  const isList = Array.isArray(value)
  const pieces = isList ? value.entries() : membersOf(value)
  digest.add(isList ? '[' : '{')
  let before = ''
  for (const [name, member] of pieces) {
    digest.add(isList ? before : `${before}${JSON.stringify(name)}:`)
    yield* addPieces(digest, member, levels - 1)
    before = ','
  }
  digest.add(isList ? ']' : '}')
}

function membersOf(value: object): readonly [string, unknown][] {
  return Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}
