/**
 * The audit outbox is full, because nothing brings its records into the log (H73): whatever would be recorded there is refused
 * with 503, nothing of it is done, and every end still happens and is on record.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { newDecisionId } from '../../src/kernel/ids.ts'
import { OUTBOX_RECORDS_MAX, UNKNOWN_COMMIT_RETRY_MS } from '../../src/kernel/store-limits.ts'
import { EmbeddedDatabase } from '../../src/store/embedded-database.ts'
import { ordered } from '../../src/store/embedded-keys.ts'
import { accessFor, askingWarehouse, newAttempt, openLimited, recordsOf, warehouseAt } from '../support/calls.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { JOSE_HEADER } from '../support/jose-header.ts'
import { type Answer, startWorld, type World } from '../support/world.ts'

/** Records that still find a place. */
const ROOM = 200

let idp: TestIssuer
let directory: string
let world: World
beforeAll(async () => {
  idp = await startIssuer()
})
afterAll(() => idp?.close())
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-full-'))
  // As long as a hundred thousand, of which the middle is missing: it is counted from its ends.
  const database = new EmbeddedDatabase(directory, 'default', systemClock)
  const record = JSON.stringify({ id: newDecisionId(), at: new Date().toISOString() })
  await database.write(() => {
    for (const n of [1, OUTBOX_RECORDS_MAX - ROOM]) database.put(`outbox:${ordered(n)}`, record)
  })
  await database.close()
  world = await startWorld({ store: { kind: 'embedded', directory }, issuer: idp, registry: askingWarehouse(idp) })
})
afterEach(async () => {
  await world?.close()
  rmSync(directory, { recursive: true, force: true })
})

async function fill(): Promise<void> {
  const { audit } = world.broker.store
  const { records, limit } = await audit.usage()
  await Promise.all(Array.from({ length: limit - records }, () => audit.append('', '{}')))
}

/** The sequencer has read all that is there. */
async function drain(): Promise<void> {
  const { audit } = world.broker.store
  const [newest] = await audit.page(1)
  await audit.trim('records', newest?.position ?? '')
}

function expectUnrecorded(name: string, { status, headers, body }: Answer): void {
  const said = { status, error: body.error, reason: body.error_reason, token: body.access_token }
  const unavailable = { status: 503, error: 'temporarily_unavailable', reason: 'audit_unavailable', token: undefined }
  expect([name, said]).toEqual([name, unavailable])
  expect(Number(headers.get('retry-after')), name).toBeGreaterThan(0)
  expect(JSON.stringify(body), name).not.toMatch(JOSE_HEADER)
}

test('nothing is issued, and nothing of it is there; when there is room again, all of it is', async () => {
  const { session } = await world.opened()
  const sessions = await world.sessions()
  await fill()
  const before = (await world.broker.store.audit.usage()).records
  expectUnrecorded('open', await world.open())
  expectUnrecorded('continue', await world.continue(session))
  expectUnrecorded('delegate', await world.delegate(session))
  expectUnrecorded(
    'client credentials',
    await world.exchange('orchestrator', { grant_type: 'client_credentials', scope: 'sessions' }),
  )
  // A refusal is a record, too.
  expectUnrecorded('refused', await world.continue(session, { resource: 'https://elsewhere.example/mcp' }))
  // What was refused is known not to have happened: nobody goes on to undo it.
  await new Promise((resolve) => setTimeout(resolve, 2 * UNKNOWN_COMMIT_RETRY_MS))
  expect(await world.sessions()).toEqual(sessions)
  expect((await world.broker.store.audit.usage()).records).toBe(before)
  await drain()
  expect((await world.open()).status).toBe(200)
  expect((await world.continue(session)).status).toBe(200)
})

test('a revoke ends what it is meant to end, at once, and is on record', async () => {
  const { session } = await world.opened()
  const access = (await world.continue(session)).body.access_token
  await fill()
  const revoked = await world.revoke(session)
  expect([revoked.status, revoked.body.audit]).toEqual([200, 'recorded'])
  const [record] = await world.audit(1)
  expect(record).toMatchObject({ event: 'token.revoke', outcome: 'granted' })
  expect(await world.broker.store.audit.usage()).toMatchObject({ records: OUTBOX_RECORDS_MAX + 1 })
  await drain()
  expect((await world.introspect(access)).body).toEqual({ active: false })
})

test('no tool runs that was not recorded, and one that runs already ends with its outcome on record', async () => {
  const warehouse = await warehouseAt(world)
  const token = await accessFor(world, (await openLimited(world, 5)).token)
  const running = newAttempt()
  const permitted = await warehouse.attempt(token, { attempt: running })
  expect(permitted.decision).toBe(true)
  await fill()
  const call = { subject: { type: 'access_token', id: token }, action: { name: 'tools/call' } }
  const asked = { ...call, resource: { type: 'tool', id: 'query' }, context: { arguments: {}, attempt: newAttempt() } }
  expectUnrecorded('attempt', await warehouse.ask(asked))
  const { decision_id } = permitted.context
  const told = await warehouse.report({ attempt: running, decision_id, outcome: 'success' })
  expect(told.status, JSON.stringify(told.body)).toBe(200)
  expect((await recordsOf(world, decision_id)).at(-1)).toMatchObject({ call: { ended: 'success' } })
  await drain()
  // It had its place in the budget given back: four calls are left of five.
  for (let left = 3; left >= 0; left--) {
    expect((await warehouse.attempt(token)).context).toMatchObject({ remaining_calls: left })
  }
})
