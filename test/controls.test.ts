/** The map from controls to commands and records against the code: whatever it names exists (R172, R178). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { COMMANDS } from '../src/cli/commands.ts'
import { EVENTS } from '../src/model/event-catalogue.ts'

const DOCUMENT = readFileSync(join(import.meta.dirname, '../deploy/controls.md'), 'utf8')
const rows = DOCUMENT.split('\n').flatMap((line) => {
  const cells = line.startsWith('|') ? line.slice(1, -1).split('|') : []
  return cells.length === 4 && !/^-+$/.test(cells[0]?.trim() ?? '') && cells[0]?.trim() !== 'control' ? [cells] : []
})
const quoted = (text = '') => [...text.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)

test('every row has a command that there is, and records that are written', () => {
  const names = new Set(COMMANDS.map(({ name }) => `errand ${name}`))
  expect(rows.length).toBeGreaterThan(15)
  for (const [control, , commands, records] of rows) {
    const [named, written] = [quoted(commands), quoted(records)]
    expect([control, named.length > 0, written.length > 0]).toEqual([control, true, true])
    expect([control, ...named.filter((name) => !names.has(name))]).toEqual([control])
    expect([control, ...written.filter((name) => !Object.hasOwn(EVENTS, name))]).toEqual([control])
  }
})
