/** What is read in a thread of its own, and handed over in pieces, is what would have been read here; and so is what is wrong with it. */
import { performance } from 'node:perf_hooks'
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
const read = (text: string | Uint8Array, format: Format) => readDocument(Buffer.from(text), format, 'a document')
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
