import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AuditLog } from '../../../src/audit/audit-log.ts'
import { OutboxFull } from '../../../src/store/ports.ts'
import { failing } from '../sessions/faults.ts'
import { HandClock, reasonOf, type TestStore, testStore } from '../sessions/fixtures.ts'

let held: TestStore
let log: AuditLog
beforeEach(async () => {
  held = await testStore(new HandClock())
  log = new AuditLog(held.store.audit)
})
afterEach(() => held.close())

const written = async () => (await held.store.audit.latest(2_000)).map((entry) => entry.record).reverse()

describe('appending', () => {
  test('a record is in the store when its promise resolves', async () => {
    await log.append('key', 'one')
    expect(await written()).toEqual(['one'])
  })

  test('what cannot be recorded is refused with a moment to wait, and not kept for later', async () => {
    const fault = failing(held.store.audit, 'append')
    await expect(log.append('key', 'one')).rejects.toMatchObject({ reason: 'audit_unavailable', retryAfterSeconds: 1 })
    fault.heal()
    await log.flush()
    expect(await written()).toEqual([])
  })

  test('what an administrator intends finds room where nothing else does, and is refused where it cannot be recorded', async () => {
    const append = held.store.audit.append.bind(held.store.audit)
    held.store.audit.append = (key, record, contents, isEnd) =>
      isEnd === true ? append(key, record, contents, isEnd) : Promise.reject(new OutboxFull())
    expect(await reasonOf(log.append('key', 'granted'))).toBe('audit_unavailable')
    await log.intend('key', 'intended')
    expect(await log.appendOrDefer('key', 'revoked')).toBe('recorded')
    expect(await written()).toEqual(['intended', 'revoked'])
    failing(held.store.audit, 'append')
    expect(await reasonOf(log.intend('key', 'intended'))).toBe('audit_unavailable')
  })

  test('the refusal is of the log, whatever was wrong underneath', async () => {
    held.store.audit.append = () => Promise.reject(new TypeError('a fault'))
    expect(await reasonOf(log.append('key', 'one'))).toBe('audit_unavailable')
  })
})

describe('deferring', () => {
  test('a record is written at once where the store answers', async () => {
    expect(await log.appendOrDefer('key', 'one')).toBe('recorded')
    expect(await written()).toEqual(['one'])
  })

  test('what could not be written is said to be deferred, and is written later in the order it was made', async () => {
    const fault = failing(held.store.audit, 'append')
    for (const record of ['one', 'two', 'three']) expect(await log.appendOrDefer('same', record)).toBe('deferred')
    await log.flush()
    expect(await written()).toEqual([])
    fault.heal()
    await log.flush()
    expect(await written()).toEqual(['one', 'two', 'three'])
    await log.flush()
    expect(await written()).toEqual(['one', 'two', 'three'])
  })

  test('a store that fails half way keeps the rest, in order', async () => {
    const fault = failing(held.store.audit, 'append')
    for (const record of ['one', 'two', 'three']) await log.appendOrDefer('same', record)
    fault.heal()
    const half = failing(held.store.audit, 'append', { when: ([, record]) => record !== 'one' })
    await log.flush()
    expect(await written()).toEqual(['one'])
    half.heal()
    await log.flush()
    expect(await written()).toEqual(['one', 'two', 'three'])
  })

  test('two flushes at once write each record once, and lose none', async () => {
    const fault = failing(held.store.audit, 'append')
    const records = Array.from({ length: 10 }, (_, at) => `record ${at}`)
    for (const record of records) await log.appendOrDefer('same', record)
    fault.heal()
    await Promise.all([log.flush(), log.flush(), log.flush()])
    expect(await written()).toEqual(records)
  })

  test('memory is bounded: beyond a thousand the oldest are kept, and the answer says what is lost', async () => {
    const fault = failing(held.store.audit, 'append')
    const said: string[] = []
    for (let at = 0; at < 1_005; at += 1) said.push(await log.appendOrDefer('same', `${at}`))
    expect(said.slice(0, 1_000).every((word) => word === 'deferred')).toBe(true)
    expect(said.slice(1_000).every((word) => word === 'lost')).toBe(true)
    fault.heal()
    await log.flush()
    expect(await written()).toEqual(Array.from({ length: 1_000 }, (_, at) => `${at}`))
  })
})
