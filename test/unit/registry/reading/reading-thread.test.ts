/** What is read in a thread of its own, and handed over in pieces, is what would have been read here; and so is what is wrong with it. */
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { atOnce } from '../../../../src/kernel/slices.ts'
import { assembled, piecesOf } from '../../../../src/registry/reading/pieces.ts'
import { type Format, readDocument } from '../../../../src/registry/reading/reading-thread.ts'
import type { ConfigurationError } from '../../../../src/registry/strict-document.ts'

const long = fc.integer({ min: 0, max: 350 }).map((length) => Array.from({ length }, (_, n) => ({ id: `grant-${n}` })))
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.jsonValue({ maxDepth: 1 }),
    long,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.string({ maxLength: 4 }), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value

test('taken apart and put together again it is the same, and no piece of a list is long', () => {
  fc.assert(
    fc.property(json, (document) => {
      const pieces = structuredClone([...piecesOf(document)])
      for (const [, entries] of pieces) expect(entries.length).toBeLessThanOrEqual(100)
      expect(atOnce(assembled(pieces))).toEqual(document)
    }),
  )
})

const large = {
  files: [
    { name: 'a', document: { agents: [], grants: Array.from({ length: 4_000 }, (_, n) => ({ id: `größe-${n}` })) } },
  ],
  dry_run: true,
}
const read = (text: string | Uint8Array, format: Format) =>
  readDocument((take) => take(Buffer.from(text)), format, 'a document')
const problemsOf = (text: string | Uint8Array, format: Format) =>
  read(text, format).then(
    () => undefined,
    ({ problems }: ConfigurationError) => problems,
  )
const yaml = (count: number) => Array.from({ length: count }, (_, n) => `- id: grant-${n}\n`).join('')

describe.each([
  ['short', (text: string) => text],
  // Too long to be read in slices.
  ['long', (text: string) => `${' '.repeat(200_000)}\n${text}`],
])('of a %s text', (_length, made) => {
  test('the same is read', async () => {
    expect(await read(made(JSON.stringify(large)), 'json')).toEqual(large)
    const entries = Array.from({ length: 20 }, (_, n) => ({ id: `grant-${n}` }))
    expect(await read(made(yaml(20)), 'yaml')).toEqual(entries)
  })

  test.each([
    ['json', '{"a":1,"\\u0061":2}', 'a document: JSON must not repeat a member name (RFC 7493)'],
    ['json', '{"a":', 'a document: the text is not JSON'],
    ['json', '{"__proto__":{}}', 'a document: JSON must not name a member __proto__'],
    ['yaml', 'a: &x 1\nb: *x', 'a document: aliases (*name) are not allowed; write the value out'],
  ] as const)('what is wrong with %s %s is said', async (format, text, problem) => {
    expect(await problemsOf(made(text), format)).toEqual([problem])
  })

  test('what is not UTF-8 is no document', async () => {
    const text = Buffer.concat([Buffer.from(made('"a')), Buffer.from([0xff, 0x22])])
    expect(await problemsOf(text, 'json')).toEqual(['a document: is not UTF-8'])
  })
})

describe('of a text that comes in pieces', () => {
  const longText = () => Buffer.from(`${' '.repeat(200_000)}${JSON.stringify(large)}`)
  const cut = (text: Buffer, bytes: number) =>
    Array.from({ length: Math.ceil(text.length / bytes) }, (_, n) => text.subarray(n * bytes, (n + 1) * bytes))

  // 4 093 is prime: characters of two bytes are cut apart, too.
  test.each([4_093, 65_536, 500_000])('of %i bytes each, the same is read, whenever they come', async (bytes) => {
    const give = async (take: (chunk: Uint8Array) => void) => {
      for (const [index, chunk] of cut(longText(), bytes).entries()) {
        take(chunk)
        if (index % 7 === 0) await nextTurn()
      }
    }
    expect(await readDocument(give, 'json', 'a document')).toEqual(large)
  })

  test('what a piece is cut from stays whole: nobody else’s bytes are handed over with it', async () => {
    const text = longText()
    await readDocument((take) => cut(text, 65_536).forEach(take), 'json', 'a document')
    expect(text.equals(longText())).toBe(true)
  })

  test('what breaks off is what is wrong with it, and the thread that was given some of it ends', async () => {
    const begun = once(process, 'worker')
    const brokenOff = new Error('the sender went away')
    const give = (take: (chunk: Uint8Array) => void) => {
      take(longText().subarray(0, 150_000))
      throw brokenOff
    }
    await expect(readDocument(give, 'json', 'a document')).rejects.toBe(brokenOff)
    const [thread] = (await begun) as [Worker]
    expect(await once(thread, 'exit')).toEqual([0])
  })
})

test('others have their turn while a long text is read', async () => {
  const text = yaml(20_000)
  let turns = 0
  const timer = setInterval(() => {
    turns += 1
  }, 5)
  const begun = performance.now()
  const document = (await read(text, 'yaml')) as unknown[]
  clearInterval(timer)
  expect(document).toHaveLength(20_000)
  // Read here, there would have been none.
  expect(turns, `in ${performance.now() - begun} ms`).toBeGreaterThan(10)
})
