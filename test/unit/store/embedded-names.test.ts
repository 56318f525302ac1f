import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { systemClock } from '../../../src/kernel/clock.ts'
import { newDecisionId } from '../../../src/kernel/ids.ts'
import { EmbeddedAudit } from '../../../src/store/embedded-audit.ts'
import { EmbeddedDatabase } from '../../../src/store/embedded-database.ts'

let directory: string
let database: EmbeddedDatabase
let audit: EmbeddedAudit
const reopen = async (): Promise<void> => {
  await database?.close()
  database = new EmbeddedDatabase(directory, 'acme', systemClock)
  audit = new EmbeddedAudit(database)
}
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-names-'))
  await reopen()
})
afterEach(async () => {
  await database.close()
  rmSync(directory, { recursive: true, force: true })
})

const recordOf = (id: string, n = 0) => JSON.stringify({ id, n })
const entries = () => [...database.range('names:')].length

it('finds each of many records that were written at once, over restarts, until it is trimmed', async () => {
  const ids = Array.from({ length: 300 }, () => newDecisionId())
  await Promise.all(ids.map((id, n) => (n % 50 === 7 ? audit.append('', 'nameless') : audit.append('', recordOf(id)))))
  expect(entries()).toBeGreaterThan(2)
  expect(entries()).toBeLessThan(30)
  await reopen()
  await audit.append('', recordOf(ids[3] ?? '', 1))
  for (const [n, id] of ids.entries()) {
    const found = n % 50 === 7 ? [] : n === 3 ? [recordOf(id), recordOf(id, 1)] : [recordOf(id)]
    expect(await audit.find(id), String(n)).toEqual(found)
  }
  for (const nobodys of ['-', '', ' ', `${ids[0]} ${ids[1]}`, (ids[0] ?? '').slice(0, -1)]) {
    expect(await audit.find(nobodys), nobodys).toEqual([])
  }
  const pending = (await audit.pending(new Map(), 1_000)).get('records') ?? []
  await audit.trim('records', pending[199]?.position ?? '')
  expect(await audit.find(ids[3] ?? '')).toEqual([recordOf(ids[3] ?? '', 1)])
  expect(await audit.find(ids[199] ?? '')).toEqual([])
  expect(await audit.find(ids[200] ?? '')).toEqual([recordOf(ids[200] ?? '')])
  await audit.trim('records', pending[299]?.position ?? '')
  expect(entries()).toBe(1)
})

it('names nothing of a transaction that failed, and forgets what brokers before have named one by one', async () => {
  const [lost, kept] = [newDecisionId(), newDecisionId()]
  const fails = () => {
    database.put('a', 'b')
    throw new Error('behind its first put')
  }
  const [first] = await Promise.allSettled([audit.append('', recordOf(lost)), database.write(fails)])
  expect(first.status).toBe('rejected')
  await database.write(() => database.put('record:dec_before', '0000000000000001'))
  await audit.append('', recordOf(kept))
  expect([await audit.find(lost), await audit.find(kept)]).toEqual([[], [recordOf(kept)]])
  const [entry] = (await audit.pending(new Map(), 1)).get('records') ?? []
  await audit.append('', 'another')
  await audit.trim('records', entry?.position ?? '')
  expect(await audit.find(kept)).toEqual([])
  expect([...database.range('record:')]).toEqual([])
})

it('finds what a broker before has named and nobody has brought into the log yet', async () => {
  const id = newDecisionId()
  await audit.append('', recordOf(id))
  const [position = ''] = (await audit.pending(new Map(), 1)).get('records')?.map((entry) => entry.position) ?? []
  await database.write(() => {
    database.remove(`names:${position}`)
    database.put(`record:${id}`, position)
  })
  await audit.append('', recordOf(id, 1))
  expect(await audit.find(id)).toEqual([recordOf(id), recordOf(id, 1)])
})
