import { randomBytes } from 'node:crypto'
import { createDeflateRaw, inflateRawSync, zstdDecompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { Compressor, type Engine, newDeflate, newZstandard } from '../../../../src/audit/log/compressor.ts'

/** Of a chunk of its output, and about it; empty; more than one chunk. */
const SIZES = [65_522, 0, 1, 65_520, 65_526, 65_531, 65_536, 65_537, 1_000_000]
const KINDS: [string, () => Engine, (bytes: Buffer) => Buffer][] = [['deflate', newDeflate, inflateRawSync]]
if (newZstandard !== undefined) KINDS.push(['Zstandard', newZstandard, zstdDecompressSync])

test.each(KINDS)('one engine of %s compresses one thing after another, asked for all at once', async (...kind) => {
  const [, newEngine, decompressed] = kind
  let engines = 0
  const compressor = new Compressor(() => {
    engines += 1
    return newEngine()
  })
  const all = SIZES.flatMap((size) => [randomBytes(size), Buffer.alloc(size, 'record')])
  const compressed = await Promise.all(all.map((bytes) => compressor.compressed(bytes)))
  for (const [n, chunks] of compressed.entries()) {
    expect(decompressed(Buffer.concat(chunks)).equals(all[n] ?? Buffer.alloc(0))).toBe(true)
  }
  expect(engines).toBe(1)
})

test('one that fails in the middle of a write says so to whoever waits, and the next has another', async () => {
  let engines = 0
  const compressor = new Compressor(() => {
    const stream = createDeflateRaw({ flush: 4 })
    engines += 1
    // As zlib does it: the event comes, and the answer to the write never.
    if (engines === 1) stream.write = () => stream.emit('error', new Error('out of memory'))
    return { stream, again: () => stream.reset() }
  })
  await expect(compressor.compressed(Buffer.from('one'))).rejects.toThrow('out of memory')
  expect(inflateRawSync(Buffer.concat(await compressor.compressed(Buffer.from('two')))).toString()).toBe('two')
  expect(engines).toBe(2)
})
