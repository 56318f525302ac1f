/** What live cut-offs take of a process that holds them: a broker, or a verifier that follows the feed. */
import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { CutoffSet } from '../../src/authority/cutoffs.ts'
import type { Dimension } from '../../src/authority/dimensions.ts'
import { CUTOFF_LIFETIME_S } from '../../src/kernel/limits.ts'

const SETTLING_COLLECTIONS = 2

/** Those of a verifier, whose ids are salted hashes, and those of a broker with the longest ids that are usual. */
export const HELD: Readonly<Record<string, { readonly dimension: Dimension; readonly id: () => string }>> = {
  hashed: { dimension: 'node', id: () => random(16) },
  pair: { dimension: 'user_agent', id: () => `user:corp:${random(18)}|agent-${random(9)}` },
}

/** MiB of heap for so many cut-offs, read from JSON as a feed delivers them. */
export function cutoffsMib(held: keyof typeof HELD, count: number): number {
  const { dimension, id } = HELD[held] ?? {}
  if (dimension === undefined || id === undefined) throw new Error(`nobody holds ${held}`)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heapUsed = () => {
    for (let time = 0; time < SETTLING_COLLECTIONS; time += 1) collect()
    return process.memoryUsage().heapUsed
  }
  const set = new CutoffSet()
  const before = heapUsed()
  const now = Date.now()
  for (let place = 0; place < count; place += 1) {
    const [seq, expiresAtMs] = [now + place, now + place + CUTOFF_LIFETIME_S * 1000]
    set.apply(JSON.parse(JSON.stringify({ entry: 'cutoff', dimension, id: id(), seq, atMs: seq, expiresAtMs })))
  }
  const bytes = heapUsed() - before
  if (set.size !== count) throw new Error('the set does not hold what it was given')
  return bytes / 2 ** 20
}

function random(bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}
