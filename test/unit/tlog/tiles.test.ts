/** C2SP tlog-tiles: names, widths and entry bundles. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatEntries, formatTilePath, parseEntries, parseTilePath, tileWidth } from '../../../src/tlog/tiles.ts'

test('tlog-tiles: the index is written in groups of three, a partial tile names its width', () => {
  expect(formatTilePath({ level: 0, index: 1_234_067, width: 256 })).toBe('tile/0/x001/x234/067')
  expect(formatTilePath({ level: 'entries', index: 0, width: 7 })).toBe('tile/entries/000.p/7')
  expect(formatTilePath({ level: 2, index: 1000, width: 1 })).toBe('tile/2/x001/000.p/1')
})

test('tlog-tiles: a name has one spelling, and that is read back', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 0, max: 63 }), fc.constant('entries' as const)),
      fc.nat({ max: 2 ** 40 }),
      fc.integer({ min: 1, max: 256 }),
      (level, index, width) => {
        expect(parseTilePath(formatTilePath({ level, index, width }))).toEqual({ level, index, width })
      },
    ),
  )
  const wrong = [
    '',
    'tile/0',
    'tile/64/000',
    'tile/00/000',
    'tile/0/0',
    'tile/0/x000/001',
    'tile/0/1000',
    'tile/-1/000',
  ]
  wrong.push(
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/300',
    'tile/0/000.p/07',
    'tile/0/000/',
    'tile/data/000',
  )
  wrong.push('tile/0/001/000', 'tile/0/x001', 'tile/0/%30%30%30', 'tile/0/../000', `tile/0/${'x001/'.repeat(6)}001`)
  expect(wrong.filter((path) => parseTilePath(path) !== undefined)).toEqual([])
})

test('tlog-tiles: a tree of 70 000 entries has the tiles that the specification counts', () => {
  expect([tileWidth(0, 272, 70_000), tileWidth(0, 273, 70_000), tileWidth(0, 274, 70_000)]).toEqual([256, 112, 0])
  expect([tileWidth(1, 0, 70_000), tileWidth(1, 1, 70_000), tileWidth(2, 0, 70_000)]).toEqual([256, 17, 1])
  expect([tileWidth(0, 0, 256), tileWidth(1, 0, 256), tileWidth(1, 0, 255)]).toEqual([256, 1, 0])
})

test('tlog-tiles: entries stand behind their lengths; what is cut off is told', () => {
  const entries = [Buffer.from(''), Buffer.from('one'), Buffer.alloc(0xffff, 7)]
  const bundle = formatEntries(entries)
  expect(parseEntries(bundle)).toEqual({ entries, whole: true })
  expect(parseEntries(bundle.subarray(0, -1))).toEqual({ entries: entries.slice(0, 2), whole: false })
  expect(parseEntries(bundle.subarray(0, 3))).toEqual({ entries: entries.slice(0, 1), whole: false })
  expect(() => formatEntries([Buffer.alloc(0x1_0000)])).toThrow(RangeError)
})
