import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { systemClock } from '../../../src/kernel/clock.ts'
import { EmbeddedDatabase } from '../../../src/store/embedded-database.ts'
import { EmbeddedLog } from '../../../src/store/embedded-log.ts'

let directory: string
let database: EmbeddedDatabase
let log: EmbeddedLog
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'errand-embedded-log-'))
  database = new EmbeddedDatabase(directory, 'acme', systemClock)
  log = new EmbeddedLog(database)
})
afterEach(async () => {
  await database.close()
  rmSync(directory, { recursive: true, force: true })
})

it('goes on with a piece whose parts are larger than those it writes', async () => {
  const parts = [randomBytes(16_390), randomBytes(300)] as const
  await database.write(() => {
    database.putBytes('log:old', parts[0])
    database.putBytes('log:old+1', parts[1])
    database.put('log-parts:old', '1')
  })
  const more = randomBytes(9_000)
  expect(await log.append(undefined, 'h', [{ name: 'old', add: more }])).toBe(true)
  expect((await log.read(['old']))[0]?.equals(Buffer.concat([...parts, more]))).toBe(true)
  await log.remove(['old'])
  expect([...database.range('log')].map(({ key }) => key)).toEqual(['log-head'])
})

it('keeps every part within one page, so that any page that was freed is room for it', async () => {
  expect(await log.append(undefined, 'h', [{ name: 'put', put: randomBytes(40_000) }])).toBe(true)
  for (const [n, size] of [4_063, 1, 1, 30_000, 200].entries()) {
    expect(await log.append(n === 0 ? 'h' : `h${n - 1}`, `h${n}`, [{ name: 'grown', add: randomBytes(size) }])).toBe(
      true,
    )
  }
  const sizes = [...database.range('log:')].map(({ key }) => database.getBytes(key)?.length ?? Number.NaN)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(40_000 + 4_063 + 1 + 1 + 30_000 + 200)
  // LMDB heads a value that has pages of its own with 24 bytes.
  for (const size of sizes) expect(size).toBeLessThanOrEqual(4_096 - 24)
})
