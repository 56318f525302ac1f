import { randomBytes } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { Deflater } from '../../../../src/audit/log/deflater.ts'

/** Of a chunk of its output, and about it; empty; more than one chunk. */
const SIZES = [0, 1, 65_520, 65_526, 65_531, 65_536, 65_537, 1_000_000]

test('one engine compresses one thing after another, asked for all at once', async () => {
  const deflater = new Deflater()
  const all = SIZES.flatMap((size) => [randomBytes(size), Buffer.alloc(size, 'record')])
  const deflated = await Promise.all(all.map((bytes) => deflater.deflated(bytes)))
  for (const [n, chunks] of deflated.entries()) {
    expect(inflateRawSync(Buffer.concat(chunks)).equals(all[n] ?? Buffer.alloc(0))).toBe(true)
  }
})
