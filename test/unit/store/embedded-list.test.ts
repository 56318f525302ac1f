import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { systemClock } from '../../../src/kernel/clock.ts'
import { newDecisionId } from '../../../src/kernel/ids.ts'
import { EmbeddedAudit } from '../../../src/store/embedded-audit.ts'
import { EmbeddedDatabase } from '../../../src/store/embedded-database.ts'

let directory: string
let database: EmbeddedDatabase
let audit: EmbeddedAudit
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'errand-list-'))
  database = new EmbeddedDatabase(directory, 'acme', systemClock)
  audit = new EmbeddedAudit(database)
})
afterEach(async () => {
  await database.close()
  rmSync(directory, { recursive: true, force: true })
})

const recordOf = (id: string) => JSON.stringify({ id })

it.each([
  'usage',
  'extents',
] as const)('%s: no record replaces another where they are counted while one is on its way to disk', async (count) => {
  const ids = Array.from({ length: 40 }, () => newDecisionId())
  for (const id of ids) {
    let isUnderWay = false
    const written = audit.append('', recordOf(id))
    const sameTransaction = database.write(() => {
      isUnderWay = true
    })
    while (!isUnderWay) await turn()
    await audit[count]()
    await Promise.all([written, sameTransaction])
  }
  expect(await audit.usage()).toMatchObject({ records: ids.length })
  expect(await audit.extents()).toMatchObject([{ records: ids.length, oldest: recordOf(ids[0] ?? '') }])
  for (const id of ids) expect(await audit.find(id)).toEqual([recordOf(id)])
})
