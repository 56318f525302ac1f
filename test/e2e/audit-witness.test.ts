/** A broker with a witness, each a process of its own: co-signed while it runs; put back to a backup, nothing more is signed (H74). */
import { appendFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { errand, type RunningProgram, type Serving, serveErrand, startErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { PATIENCE_MS } from '../support/patience.ts'

const SERVER = 'https://warehouse.example/mcp'
let directory: string
let port: number
let broker: Serving
let witness: RunningProgram
let witnessPort: number
let log = ''

let vkey: string
const run = (...args: string[]) => errand(args, { cwd: directory })
const exchange = async () => {
  expect((await run('exchange', '--client', 'analyst', '--resource', SERVER, '--json')).code).toBe(0)
}
const stopped = async () => {
  broker.signal('SIGTERM')
  await broker.ended
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-witness-'))
  port = await freePort()
  const server = ['--server', SERVER, '--tools', 'query:read', '--port', String(port)]
  expect(await run('init', '--yes', '--agent', 'analyst', '--owner', 'data', ...server)).toMatchObject({ code: 0 })
  // Its first start makes the key of the log.
  broker = await serveErrand([], directory)
  await vi.waitFor(
    async () => {
      // Nothing is signed before the first records are in the log.
      log = JSON.parse((await run('audit', 'verify', '--json')).out).keys[0]
    },
    { timeout: 2 * PATIENCE_MS, interval: 200 },
  )
  await stopped()
  vkey = (await run('witness', 'w1', '--name', 'witness.example/w1')).out.trim()
  witnessPort = await freePort()
  witness = await startErrand(['witness', 'w1', '--port', String(witnessPort), '--log', log], directory)
  const settings = `\naudit: { witness: [{ url: 'http://127.0.0.1:${witnessPort}', key: '${vkey}' }] }\n`
  appendFileSync(join(directory, 'errand.yaml'), settings)
  broker = await serveErrand([], directory)
})
afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  await witness?.stop()
  rmSync(directory, { recursive: true, force: true })
})

const verify = async () => JSON.parse((await run('audit', 'verify', '--witness', vkey, '--json')).out)

/** The witness is shown each checkpoint within two seconds. */
async function settled<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let left = 150; ; left--) {
    // A command whose broker stood still for a moment has told nothing.
    const found = await look().catch((error: unknown) => (left === 0 ? Promise.reject(error) : undefined))
    if (found !== undefined) return found
    if (left === 0) throw new Error('it did not come')
    await sleep(200)
  }
}
const cosignedPast = (size: number) =>
  settled(async () => {
    const told = await verify()
    return told.verified === true && told.witnessed?.size > size ? told : undefined
  })

test('what the broker signs the witness co-signs; verifying it, in however many requests, is one record', async () => {
  await exchange()
  const first = await cosignedPast(0)
  expect(first.witnessed.by).toMatchObject([{ name: 'witness.example/w1' }])
  await exchange()
  await cosignedPast(first.witnessed.size)
  const { records } = JSON.parse((await run('audit', '--event', 'admin.read', '--json')).out)
  const readings = records.filter(({ detail }: { detail?: string }) => detail === 'the log as it lies in the store')
  // The one before is the first broker's.
  expect(readings).toHaveLength(2)
})

test('put back to a backup, the store is not signed again: the witness knows more', async () => {
  await stopped()
  cpSync(join(directory, 'data'), join(directory, 'backup'), { recursive: true })
  broker = await serveErrand([], directory)
  // The backup has no more than this, whatever of it was co-signed by then; and does not grow to what is co-signed now.
  const { records } = await verify()
  for (let n = 0; n < 4; n += 1) await exchange()
  await cosignedPast(records + 3)
  await stopped()
  rmSync(join(directory, 'data'), { recursive: true })
  cpSync(join(directory, 'backup'), join(directory, 'data'), { recursive: true })
  broker = await serveErrand([], directory)
  await exchange()
  await settled(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
    return (await answer.text()).includes('has co-signed') ? true : undefined
  })
  const signed = async () => JSON.parse((await run('audit', 'verify', '--json')).out).checkpoint.size
  const old = await signed()
  await exchange()
  await sleep(1_500)
  expect(await signed()).toBe(old)
})

test('where that is to stand, somebody says so: it goes on under a name that verifiers and the witness have to be given', async () => {
  expect((await run('audit', 'continue')).code).toBe(2)
  const unsayable = await run('audit', 'continue', '--reason', 'INC\u009b2J')
  expect([unsayable.code, unsayable.err]).toEqual([1, expect.stringContaining('no control characters')])
  const told = JSON.parse((await run('audit', 'continue', '--reason', 'INC-310', '--json')).out)
  expect(told).toMatchObject({ before: log.split('+')[0], origin: `${log.split('+')[0]}/2` })
  await exchange()
  const refused = await settled(async () => {
    const answer = JSON.parse((await run('audit', 'verify', '--json')).out)
    return String(answer.fault).includes(told.key) ? answer : undefined
  })
  expect(refused).toMatchObject({ verified: false, index: told.from })
  expect(refused.fault).toContain(`continued by ${told.decision_id}`)
  const taken = await run('audit', 'verify', '--key', told.key)
  expect(taken.code).toBe(0)
  expect(taken.out).toContain('"INC-310"')
  const { records } = JSON.parse((await run('audit', '--event', 'audit.continued', '--json')).out)
  const signed = ({ outcome, continued: said }: { outcome: string; continued?: { signature?: string } }) =>
    `${outcome} ${said?.signature === undefined ? 'and not signed' : 'and signed'}`
  const ends = ['granted and signed', 'refused and not signed', 'unfinished and not signed']
  expect(records.map(signed).sort()).toEqual(ends)
  const [{ continued }] = records
  expect(continued).toMatchObject({ from: told.from, signed: told.signed, reason: 'INC-310' })
  // It has co-signed nothing of that name, and does once its operator gives it the name.
  const witnessed = async () =>
    JSON.parse((await run('audit', 'verify', '--key', told.key, '--witness', vkey, '--json')).out)
  expect((await witnessed()).fault).toContain('has co-signed no checkpoint of it')
  await witness.stop()
  witness = await startErrand(
    ['witness', 'w1', '--port', String(witnessPort), '--log', log, '--log', told.key],
    directory,
  )
  await settled(async () => ((await witnessed()).verified === true ? true : undefined))
  // A broker that starts anew knows.
  await stopped()
  broker = await serveErrand([], directory)
  await exchange()
  const size = told.signed
  await settled(async () => ((await witnessed()).witnessed?.size > size ? true : undefined))
  expect((await run('audit', 'continue', '--reason', 'again')).err).toContain('there is nothing to go on from')
})
