/** Long work that keeps what it makes has nothing marked at once, with nobody answered, as the collector itself tells of each. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { childEnvironment } from '../support/child.ts'

const SLICES = new URL('../../src/kernel/slices.ts', import.meta.url).href
const MANY = 1_500_000
const PROGRAM = `
import { each, inSlices } from '${SLICES}'
const kept: unknown[] = []
await inSlices(each(Array(${MANY}).keys(), (n) => kept.push({ n, list: [n] })))
`

test('old objects are marked beside long work to the end, and never hastily for the sake of young ones', async () => {
  const flags = ['--trace-gc', '--input-type=module-typescript', '--eval', PROGRAM]
  const { stdout } = await promisify(execFile)(process.execPath, flags, { env: childEnvironment() })
  const collections = stdout.split('\n').filter((line) => line.includes('Mark-Compact'))
  // A hundred megabytes are kept: the heap has grown several times.
  expect(collections.length).toBeGreaterThanOrEqual(2)
  expect(collections.filter((line) => line.includes('forced finalization'))).toEqual([])
})
