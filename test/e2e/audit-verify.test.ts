/** A running broker's log by the commands themselves: verified, kept, witnessed, and a record's receipt checked without the broker. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { errand, type Serving, serveErrand, startErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { WitnessedLog } from '../support/witnessed-log.ts'

const SERVER = 'https://warehouse.example/mcp'
let directory: string
let broker: Serving
const run = (...args: string[]) => errand(args, { cwd: directory })
const exchange = () => run('exchange', '--client', 'analyst', '--resource', SERVER, '--json')

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-verify-'))
  const server = ['--server', SERVER, '--tools', 'query:read', '--port', String(await freePort())]
  expect(await run('init', '--yes', '--agent', 'analyst', '--owner', 'data', ...server)).toMatchObject({ code: 0 })
  broker = await serveErrand([], directory)
  for (let n = 0; n < 3; n++) expect((await exchange()).code).toBe(0)
})
afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  rmSync(directory, { recursive: true, force: true })
})

/** The log has it within a second. */
async function settled<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let left = 150; ; left--) {
    const found = await look()
    if (found !== undefined) return found
    if (left === 0) throw new Error('it did not come')
    await sleep(200)
  }
}

test('the log is verified against the key of the key directory, and against a checkpoint kept from before', async () => {
  const first = await settled(async () => {
    const ran = await run('audit', 'verify', '--save', 'kept.checkpoint', '--json')
    expect([ran.code, ran.err]).toEqual([0, ''])
    const told = JSON.parse(ran.out)
    if (told.records >= 3) return told
    rmSync(join(directory, 'kept.checkpoint'), { force: true })
    return undefined
  })
  expect(first).toMatchObject({ verified: true, pruned: 0, checkpoint: { signed: [{}] } })
  expect((await exchange()).code).toBe(0)
  const again = await run('audit', 'verify', '--checkpoint', 'kept.checkpoint')
  expect([again.code, again.out]).toEqual([0, expect.stringContaining('as it was signed')])
  expect(again.out).toContain(`--key ${first.keys[0]}`)

  // Of another log, signed by another key: this one is not what that stands for.
  const other = new WitnessedLog(first.checkpoint.origin).grow(2)
  writeFileSync(join(directory, 'other.checkpoint'), await other.checkpoint())
  const unlike = await run('audit', 'verify', '--checkpoint', 'other.checkpoint', '--key', other.key.vkey)
  expect([unlike.code, unlike.out]).toEqual([
    1,
    expect.stringMatching(/not as it was: index 0: the records from here to 1/),
  ])
  const unknown = await run('audit', 'verify', '--checkpoint', 'other.checkpoint')
  expect([unknown.code, unknown.out]).toEqual([1, expect.stringContaining('no key that is trusted here has signed it')])
})

test('a record has a receipt, which is checked with its key alone; bent or with another key it proves nothing', async () => {
  const [key = ''] = JSON.parse((await run('audit', 'verify', '--json')).out).keys
  const { decision_id: id } = JSON.parse((await run('decisions', '--json')).out).decisions[0] ?? {}
  const wanted = id ?? JSON.parse((await run('decisions', '--json')).out).decisions[0].id
  await settled(async () =>
    (await run('audit', 'receipt', wanted, '--out', 'one.tlog-proof')).code === 0 ? true : undefined,
  )
  const checked = await run('audit', 'verify-receipt', 'one.tlog-proof', '--key', key)
  expect([checked.code, JSON.parse(checked.out).id]).toEqual([0, wanted])
  expect(checked.err).toContain('proven')

  const text = readFileSync(join(directory, 'one.tlog-proof'), 'utf8')
  writeFileSync(
    join(directory, 'bent.tlog-proof'),
    text.replace(/index (\d+)/, (_, index) => `index ${Number(index) + 1}`),
  )
  const bent = await run('audit', 'verify-receipt', 'bent.tlog-proof', '--key', key)
  expect([bent.code, bent.out, bent.err.includes('proves nothing')]).toEqual([1, '', true])
  const stranger = new WitnessedLog('errand.example/audit').key.vkey
  expect((await run('audit', 'verify-receipt', 'one.tlog-proof', '--key', stranger)).code).toBe(1)
  expect((await run('audit', 'verify-receipt', 'one.tlog-proof')).code).toBe(2)
  expect((await run('audit', 'receipt', 'dec_none')).code).toBe(1)
})

test('a witness is a process of its own, keeps its name and its directory, and signs over HTTP', async () => {
  const vkey = (await run('witness', 'w1', '--name', 'witness.example/w1')).out.trim()
  expect(vkey).toMatch(/^witness\.example\/w1\+[0-9a-f]{8}\+/)
  expect((await run('witness', 'w1', '--name', 'witness.example/w2')).code).toBe(2)
  const log = new WitnessedLog('errand.example/audit').grow(5)
  const port = await freePort()
  const witness = await startErrand(['witness', 'w1', '--port', String(port), '--log', log.key.vkey], directory)
  expect(witness.out()).toContain(vkey)
  const second = await run('witness', 'w1', '--port', '0', '--log', log.key.vkey)
  expect([second.code, second.err]).toEqual([1, expect.stringContaining('in use by another witness')])
  const body = await log.request(0)
  const answer = await fetch(`http://127.0.0.1:${port}/add-checkpoint`, { method: 'POST', body })
  expect([answer.status, await answer.text()]).toEqual([200, expect.stringMatching(/^— witness\.example\/w1 /)])
  expect(await witness.stop()).toBe(0)
  expect(readdirSync(join(directory, 'w1')).filter((name) => name.endsWith('.checkpoint'))).toHaveLength(1)
})
