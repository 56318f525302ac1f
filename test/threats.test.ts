/** The table of threats against the code: its files and tests exist, and what is taken out to see a test fail is still there (R098). */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { MUTATIONS } from './mutation/threats-list.ts'

const ROOT = resolve(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const rows = read('deploy/threats.md')
  .split('\n')
  .map((line) => (line.startsWith('|') ? line.slice(1, -1).split('|') : []).map((cell) => cell.trim()))
  .filter((cells) => cells.length === 5 && !/^-*$/.test(cells[0] ?? ''))

const STRENGTH = /^(?:impossible(?:$|[ ,:] ?\S)|(?:tedious|noticed): \S)/
const linked = (cell = '') => [...cell.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, path = '']) => path)
const shownBy = (cell = '') =>
  cell.split('<br>').map((one) => {
    const [, test = '', title = ''] = /^\[[^\]]+\]\(\.\.\/([^)]+)\) `([^`]+)`$/.exec(one) ?? []
    return { test, title }
  })
/** As a literal: the name of a test, of a group, or of one in a table of them. */
const hasText = (text: string, title: string) =>
  [`'${title}'`, `"${title}"`, `\`${title}\``].some((one) => text.includes(one))

test('every row says what is attacked, how strong its control is, and where that and its tests are', () => {
  expect(rows.length).toBeGreaterThan(40)
  for (const [ids = '', attack = '', control, strength, shown] of rows) {
    expect([attack, /^(?:–|H\d\d(?: H\d\d)*)$/.test(ids), STRENGTH.test(strength ?? '')]).toEqual([attack, true, true])
    const sources = linked(control)
    expect([attack, sources.length > 0, ...sources.filter((path) => !existsSync(join(ROOT, path)))]).toEqual([
      attack,
      true,
    ])
    for (const { test, title } of shownBy(shown)) {
      expect([attack, test, existsSync(join(ROOT, test))]).toEqual([attack, test, true])
      expect([title, hasText(read(test), title)]).toEqual([title, true])
    }
  }
})

test('for every test that is named, something of its row’s files is taken out, and for every file', () => {
  const taken = new Set(MUTATIONS.map(({ source, test, title }) => JSON.stringify([source, test, title])))
  const named = new Set<string>()
  for (const [, attack, control, , shown] of rows) {
    const [sources, tests] = [linked(control), shownBy(shown)]
    const pairs = sources.map((source) =>
      tests.map(({ test, title }) => JSON.stringify([source, test, title])).filter((pair) => taken.has(pair)),
    )
    for (const pair of pairs.flat()) named.add(pair)
    const seen = new Set(pairs.flat().map((pair) => JSON.stringify(JSON.parse(pair).slice(1))))
    expect([attack, pairs.every((of) => of.length > 0), seen.size]).toEqual([attack, true, tests.length])
  }
  expect([...taken].filter((pair) => !named.has(pair))).toEqual([])
})

// Where a control is written otherwise by now, say in threats.json what of it is to be taken out, and see its test fail.
test.each(MUTATIONS)('$source has what is taken out of it for: $title', ({ source, is, becomes }) => {
  expect([is, read(source).split(is).length - 1, becomes !== is]).toEqual([is, 1, true])
})
