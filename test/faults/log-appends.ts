/** Appends to the log that show whether they were performed whole: each adds to one piece, and writes another. */
import { expect } from 'vitest'
import type { Store } from '../../src/store/ports.ts'

export const pieces = (n: number) => [
  { name: 'all', add: Buffer.from(`${n} `) },
  { name: `of/${n % 7}`, put: Buffer.alloc(2_000, String(n % 10)) },
]

/** What there is, which must be all of one append and all before it. */
export async function expectWhole(store: Store): Promise<number> {
  const head = Number((await store.log.head()) ?? 0)
  const [all, last] = await store.log.read(['all', `of/${head % 7}`])
  expect(all?.toString() ?? '').toBe(Array.from({ length: head }, (_, n) => `${n + 1} `).join(''))
  if (head > 0) expect(last?.equals(Buffer.alloc(2_000, String(head % 10)))).toBe(true)
  return head
}

export const after = (n: number) => (n === 0 ? undefined : String(n))
