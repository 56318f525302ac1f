import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { StrangerCounts } from '../../../src/audit/stranger-counts.ts'
import { NAME_CHARS_MAX } from '../../../src/kernel/limits.ts'
import { AUDIT_RECORD_BYTES_MAX, STRANGER_COUNTS_MAX } from '../../../src/kernel/store-limits.ts'
import type { AuditRecord } from '../../../src/model/audit-record.ts'
import { failing } from '../sessions/faults.ts'
import { HandClock, NOW, type TestStore, testStore } from '../sessions/fixtures.ts'

let held: TestStore
let strangers: StrangerCounts
beforeEach(async () => {
  const clock = new HandClock()
  held = await testStore(clock)
  strangers = new StrangerCounts(held.store.audit, clock)
})
afterEach(() => held.close())

async function records(): Promise<readonly AuditRecord[]> {
  return (await held.store.audit.latest(10_000)).map((entry) => JSON.parse(entry.record) as AuditRecord)
}

/** All rows of all records together. */
async function counted(): Promise<ReadonlyMap<string, number>> {
  const sums = new Map<string, number>()
  for (const [reason, source, count] of (await records()).flatMap((record) => record.strangers ?? [])) {
    sums.set(`${reason} ${source}`, (sums.get(`${reason} ${source}`) ?? 0) + count)
  }
  return sums
}

test('nothing counted, nothing written', async () => {
  await strangers.flush()
  expect(await records()).toEqual([])
})

test('a flood is one record with counts by reason and source', async () => {
  for (let times = 0; times < 500; times += 1) strangers.count('client_unknown', '203.0.113.7')
  strangers.count('client_unknown', '203.0.113.8')
  strangers.count('body_malformed', '203.0.113.7')
  await strangers.flush()
  const [record, ...others] = await records()
  expect(others).toEqual([])
  expect(record).toMatchObject({
    at: new Date(NOW * 1000).toISOString(),
    event: 'strangers.refused',
    outcome: 'refused',
    by: 'stranger',
    by_class: 'stranger',
  })
  expect(record?.strangers).toEqual([
    ['client_unknown', '203.0.113.7', 500],
    ['client_unknown', '203.0.113.8', 1],
    ['body_malformed', '203.0.113.7', 1],
  ])
})

test('what was written is not written again', async () => {
  strangers.count('client_unknown', 'a')
  await strangers.flush()
  await strangers.flush()
  strangers.count('client_unknown', 'a')
  await strangers.flush()
  expect((await records()).map((record) => record.strangers)).toEqual([
    [['client_unknown', 'a', 1]],
    [['client_unknown', 'a', 1]],
  ])
})

describe('bounds', () => {
  test('beyond the bound of pairs the rest is counted as other, by reason, and nothing is lost', async () => {
    for (let at = 0; at < STRANGER_COUNTS_MAX + 300; at += 1) strangers.count('client_unknown', `source-${at}`)
    strangers.count('body_malformed', 'late')
    strangers.count('client_unknown', 'source-0')
    await strangers.flush()
    const sums = await counted()
    expect(sums.size).toBe(STRANGER_COUNTS_MAX + 2)
    expect(sums.get('client_unknown other')).toBe(300)
    expect(sums.get('body_malformed other')).toBe(1)
    expect(sums.get('client_unknown source-0')).toBe(2)
  })

  test('every record fits its size, however many sources there were', async () => {
    for (let at = 0; at < 300; at += 1) strangers.count('client_assertion_signature', `2001:db8::${at}`)
    await strangers.flush()
    const written = await held.store.audit.latest(10_000)
    expect(written.length).toBeGreaterThan(1)
    for (const { record } of written) expect(Buffer.byteLength(record)).toBeLessThanOrEqual(AUDIT_RECORD_BYTES_MAX)
    expect((await counted()).size).toBe(300)
    expect(new Set((await records()).map((record) => record.id)).size).toBe(written.length)
  })

  test('they are in a list of their own: the one that known callers fill is left alone', async () => {
    await held.store.audit.append('key', '{"id":"dec_known"}')
    for (let at = 0; at < 300; at += 1) strangers.count('client_unknown', `source-${at}`)
    await strangers.flush()
    expect((await records()).length).toBeGreaterThan(2)
    expect((await held.store.audit.usage()).records).toBe(1)
  })

  test('a source is cut to the length of a name', async () => {
    strangers.count('client_unknown', 's'.repeat(10_000))
    await strangers.flush()
    const [row] = (await records())[0]?.strangers ?? []
    expect(row?.[1]).toBe('s'.repeat(NAME_CHARS_MAX))
  })
})

describe('a store that does not answer', () => {
  test('keeps the counts for the next time, together with what came since', async () => {
    strangers.count('client_unknown', 'a')
    const fault = failing(held.store.audit, 'appendStrangers')
    await expect(strangers.flush()).resolves.toBeUndefined()
    strangers.count('client_unknown', 'a')
    strangers.count('client_unknown', 'b')
    await strangers.flush()
    expect(fault.failures).toBe(2)
    fault.heal()
    await strangers.flush()
    expect(await counted()).toEqual(
      new Map([
        ['client_unknown a', 2],
        ['client_unknown b', 1],
      ]),
    )
  })

  test('half way through writes no count twice and loses none', async () => {
    for (let at = 0; at < 200; at += 1) strangers.count('client_unknown', `source-${at}`)
    let calls = 0
    const fault = failing(held.store.audit, 'appendStrangers', {
      when: () => {
        calls += 1
        return calls === 3
      },
    })
    await strangers.flush()
    expect(fault.failures).toBe(1)
    fault.heal()
    await strangers.flush()
    const sums = await counted()
    expect(sums.size).toBe(200)
    expect([...sums.values()].every((count) => count === 1)).toBe(true)
  })

  test('for long does not let memory grow beyond the bound', async () => {
    const fault = failing(held.store.audit, 'appendStrangers')
    for (let minute = 0; minute < 5; minute += 1) {
      const flushing = strangers.flush()
      // Counted while the write is under way, when the counts have been handed over.
      for (let at = 0; at < STRANGER_COUNTS_MAX; at += 1) strangers.count('client_unknown', `${minute}-${at}`)
      await flushing
    }
    fault.heal()
    await strangers.flush()
    const sums = await counted()
    expect(sums.size).toBeLessThanOrEqual(STRANGER_COUNTS_MAX + 1)
    expect([...sums.values()].reduce((sum, count) => sum + count, 0)).toBe(5 * STRANGER_COUNTS_MAX)
  })
})
