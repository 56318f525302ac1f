/**
 * A backup is taken while the broker works; what a store restored from it brings back is what must stay: blocks and records.
 * No token comes back, whether it was revoked before the backup, after it, or not at all, and nothing is used twice.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { FIELD } from '../../src/sessions/session-record.ts'
import { backupEmbedded, restoreEmbedded } from '../../src/store/embedded-backup.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { errand, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { writeOwnBroker } from '../support/own-broker.ts'
import { DELEGATED, INTENT, type Params, patient, TYPE } from '../support/world.ts'

let fleet: Fleet
let broker: BrokerProcess
let directory = ''
beforeAll(async () => {
  fleet = await startFleet((own) => {
    directory = join(own, 'store')
    return { store: { kind: 'embedded', directory } }
  })
  broker = await fleet.start()
})
afterAll(() => fleet.close())

const restore = (from: string, to = directory) =>
  restoreEmbedded(from, {
    directory: to,
    org: 'default',
    clock: systemClock,
    endedFields: new Map([[FIELD.state, 'revoked']]),
  })

/** Credentials of that many seconds later. */
function later(member: BrokerProcess, seconds: number): BrokerProcess {
  return Object.assign(member, { now: () => Math.floor(Date.now() / 1000) + seconds })
}

async function granted(answer: Promise<{ status: number; body: { access_token: string } }>): Promise<string> {
  const { status, body } = await answer
  expect([status, JSON.stringify(body)]).toEqual([200, expect.anything()])
  return body.access_token
}

const active = async (token: string) => (await patient(broker).introspect(token)).body.active as boolean

test('a token revoked after the backup stays dead after the restore, and everything else issued before dies with it', async () => {
  const idToken = broker.idToken()
  const opening = { subject_token: idToken, subject_token_type: TYPE.id, requested_token_type: TYPE.session }
  const intent = { authorization_details: JSON.stringify(INTENT) }
  const session = await granted(patient(broker).exchange('orchestrator', { ...opening, ...intent }))
  const access = await granted(patient(broker).continue(session))
  const delegation = await granted(
    patient(broker).delegate(session, { authorization_details: JSON.stringify(DELEGATED) }),
  )
  const apiToken = await broker.apiToken()
  const management = await fleet.managementToken()
  const order = (dimension: Params) =>
    broker.request('/admin/v1/revocations', {
      method: 'POST',
      headers: { Authorization: `Bearer ${management}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(dimension),
    })
  expect((await order({ dimension: 'agent', agent: 'scribe', block: true as never })).status).toBe(200)
  expect(await active(access)).toBe(true)

  // While others work.
  let isWorking = true
  const crowd = Array.from({ length: 4 }, async () => {
    while (isWorking) await broker.continue(session)
  })
  const file = join(directory, '..', 'errand.backup')
  const facts = await backupEmbedded(directory, 'default', file)
  isWorking = false
  await Promise.all(crowd)
  expect(facts.sessions).toBeGreaterThanOrEqual(1)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  await expect(backupEmbedded(directory, 'default', file)).rejects.toThrow(/exists already/)

  const revokedLater = await granted(patient(broker).continue(session))
  expect((await patient(broker).revoke(revokedLater)).status).toBe(200)
  expect(await active(revokedLater)).toBe(false)
  const used = broker.authentication('orchestrator')
  const spent = { ...used, grant_type: 'client_credentials', resource: `${broker.issuer}/api` }
  expect((await broker.post('/token', spent)).status).toBe(200)

  await expect(restore(file)).rejects.toThrow(/in use by process/)
  await broker.kill()
  await expect(restore(file)).rejects.toThrow(/holds a store: move/)
  for (const name of ['errand.mdb', 'errand.mdb-lock'])
    renameSync(join(directory, name), join(directory, `${name}.old`))
  await restore(file)
  expect(statSync(join(directory, 'errand.mdb')).mode & 0o777).toBe(0o600)

  // What was used once after the backup, and is good by itself for minutes more.
  broker = await fleet.start()
  expect((await broker.post('/token', spent)).body.error).toBe('invalid_client')
  await broker.kill()

  broker = later(await fleet.start({ clockOffsetMs: 40_000 }), 40)
  for (const token of [access, revokedLater]) expect(await active(token)).toBe(false)
  for (const answer of [
    await broker.continue(session),
    await broker.accept(delegation),
    await broker.exchange('orchestrator', { ...opening, ...intent }),
    await broker.delegate(session, { authorization_details: JSON.stringify(DELEGATED) }),
  ]) {
    expect([answer.status, answer.body.access_token], JSON.stringify(answer.body)).not.toEqual([200, expect.anything()])
  }
  const listed = await broker.request('/sessions', { headers: { Authorization: `Bearer ${apiToken}` } })
  expect(listed.status).toBe(401)
  await broker.kill()

  const store = await openStore({ kind: 'embedded', directory, org: 'default', clock: systemClock })
  const { entries, seq } = await store.control.snapshot()
  expect(entries.filter(({ entry, id }) => entry === 'block' && id === 'scribe')).toHaveLength(1)
  expect(seq).toBeGreaterThan(facts.seq)
  expect((await store.audit.latest(200)).length).toBeGreaterThan(3)
  await store.close()

  // Two minutes later new credentials are as good as ever.
  broker = later(await fleet.start({ clockOffsetMs: 120_000 }), 120)
  const signedIn = { ...opening, subject_token: broker.idToken({ auth_time: broker.now() - 5 }) }
  const anew = await patient(broker).exchange('orchestrator', { ...signedIn, ...intent })
  expect(anew.status, JSON.stringify(anew.body)).toBe(200)
  await broker.stop()
})

test('what is no backup, or one of another version or organisation, is refused and leaves nothing behind', async () => {
  const elsewhere = join(directory, '..', 'elsewhere')
  mkdirSync(elsewhere, { mode: 0o700 })
  const file = join(directory, '..', 'errand.backup')
  const broken = join(directory, '..', 'broken')
  writeFileSync(broken, readFileSync(file).subarray(0, 3_000))
  await expect(restore(broken, elsewhere)).rejects.toThrow(/is no backup, or not a whole one/)
  await expect(restore(join(elsewhere, 'none'), elsewhere)).rejects.toThrow(/there is no file/)
  const foreign = { directory: elsewhere, org: 'other', clock: systemClock, endedFields: new Map<string, string>() }
  await expect(restoreEmbedded(file, foreign)).rejects.toThrow(/no store of the organisation other/)
  expect(readdirSync(elsewhere)).toEqual([])
  await expect(backupEmbedded(elsewhere, 'default', join(elsewhere, 'copy'))).rejects.toThrow(/there is no store in/)
  expect(existsSync(join(elsewhere, 'copy'))).toBe(false)
  rmSync(elsewhere, { recursive: true })
})

test('the commands: a copy of a store in use, refused while it is, and made anew where none is', async () => {
  const own = writeOwnBroker({ listen: { port: await freePort() } })
  const run = (...args: string[]) => errand([...args, '--config', own.configFile], { cwd: own.directory })
  const served = await serveErrand(['--config', own.configFile], own.directory)
  const file = join(own.directory, 'copy')
  expect(await run('backup', '--out', file)).toMatchObject({ code: 0, err: '' })
  expect(await run('restore', file)).toMatchObject({ code: 1, err: expect.stringContaining('is in use by process') })
  served.signal('SIGTERM')
  await served.ended
  rmSync(join(own.directory, 'data'), { recursive: true })
  const restored = await run('restore', file)
  expect(restored).toMatchObject({ code: 0, err: '', out: expect.stringContaining('nothing issued before now') })
  const again = await serveErrand(['--config', own.configFile], own.directory)
  expect((await run('health')).code).toBe(0)
  again.signal('SIGTERM')
  expect(await again.ended).toBe(0)
  rmSync(own.directory, { recursive: true })
})
