import { randomBytes } from 'node:crypto'
import { createDeflateRaw, inflateRawSync } from 'node:zlib'
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

test('one that fails in the middle of a write says so to whoever waits, and the next has another', async () => {
  let engines = 0
  const deflater = new Deflater(() => {
    const engine = createDeflateRaw({ flush: 4 })
    engines += 1
    // As zlib does it: the event comes, and the answer to the write never.
    if (engines === 1) engine.write = () => engine.emit('error', new Error('out of memory'))
    return engine
  })
  await expect(deflater.deflated(Buffer.from('one'))).rejects.toThrow('out of memory')
  expect(inflateRawSync(Buffer.concat(await deflater.deflated(Buffer.from('two')))).toString()).toBe('two')
  expect(engines).toBe(2)
})
