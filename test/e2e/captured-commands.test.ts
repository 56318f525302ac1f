/**
 * What is captured, by the commands themselves: a key first, then reading, searching, erasing; and every data key under a new key,
 * though the broker is killed in the midst of it.
 */
import { appendFileSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DataKeys } from '../../src/audit/captured/data-keys.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { KeyEncryptionKeys } from '../../src/keys/key-encryption-keys.ts'
import { privateKeyJwt } from '../../src/sdk/agent/credential.ts'
import { openStore } from '../../src/store/open-store.ts'
import { errand, type Serving, serveErrand, startErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { scratchDirectory } from '../support/scratch.ts'

const SERVER = 'https://warehouse.example/mcp'
const PAGES = 130
let directory: string
let issuer: string
let broker: Serving | undefined
const run = (...args: string[]) => errand(args, { cwd: directory })
const files = () => readdirSync(join(directory, 'keys')).filter((name) => name.endsWith('.kek.json'))

beforeAll(async () => {
  directory = scratchDirectory('errand-captured-')
  const port = await freePort()
  issuer = `http://127.0.0.1:${port}`
  const server = ['--server', SERVER, '--tools', 'query:read', '--port', String(port)]
  expect(await run('init', '--yes', '--agent', 'analyst', '--owner', 'data', ...server)).toMatchObject({ code: 0 })
  appendFileSync(join(directory, 'errand.yaml'), '\naudit: { capture: { prompts: sealed } }\n')
})
afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  rmSync(directory, { recursive: true, force: true })
})

/** A token for work of the agent's own, with what set it off. @returns the id of its record */
async function tokenFor(prompt: string): Promise<string> {
  const jwk = JSON.parse(readFileSync(join(directory, 'agents', 'analyst.jwk.json'), 'utf8'))
  const credential = privateKeyJwt({ clientId: 'analyst', key: jwk })
  const { form } = await credential.authenticate({ issuer, clock: systemClock, grantType: 'client_credentials' })
  const asked = { grant_type: 'client_credentials', resource: SERVER, user_prompt: prompt, ...form }
  const response = await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams(asked) })
  const body = (await response.json()) as { decision_id: string }
  expect(response.status, JSON.stringify(body)).toBe(200)
  return body.decision_id
}

test('sealing without a key is no start, and says what to do; with it, what was captured is read with a reason', async () => {
  const { code, err, out } = await run('serve')
  expect([code, `${out}${err}`.includes('errand keys rotate-content')]).toEqual([2, true])
  const checked = await run('check')
  expect([checked.code, checked.out.includes('errand keys rotate-content')]).toEqual([1, true])
  const made = await run('keys', 'rotate-content')
  expect([made.code, files().length]).toEqual([0, 1])
  broker = await serveErrand([], directory)
  const id = await tokenFor('Sum up the Albatross deal')
  expect((await run('audit', 'show', id, '--kind', 'prompt')).code).toBe(2)
  const shown = await run('audit', 'show', id, '--kind', 'prompt', '--reason', 'INC-1')
  expect(shown).toMatchObject({ code: 0, out: 'Sum up the Albatross deal\n' })
  const search = ['audit', 'search-captured', '--kind', 'prompt', '--reason', 'INC-1', '--contains']
  const found = await run(...search, 'albatross')
  expect([found.code, found.out.includes(id), found.out.includes('Albatross')]).toEqual([0, true, false])
  expect(await run(...search, 'penguin')).toMatchObject({ code: 1, err: '' })
  const records = JSON.parse((await run('audit', '--event', 'captured.read', '--json')).out).records
  expect(records).toMatchObject([{ disclosure: { of: id, kinds: ['prompt'], reason: 'INC-1' } }])
  const erased = await run('audit', 'erase', id, '--reason', 'request 17')
  expect([erased.code, erased.out.startsWith('erased: prompt')]).toEqual([0, true])
  const after = await run('audit', 'show', id, '--kind', 'prompt', '--reason', 'INC-1')
  expect([after.code, after.err.includes('was erased')]).toEqual([1, true])
})

test('texts of lines are read as lines, and exported records are letter by letter what the log has', async () => {
  const id = await tokenFor('Sum up\nthe Albatross\tdeal\u001b[2J')
  // With a zero-width joiner: what would be made harmless to a terminal would be another record.
  const reason = 'INC-2: \u{1f469}\u200d\u{1f4bb} asks'
  const shown = await run('audit', 'show', id, '--kind', 'prompt', '--reason', reason)
  expect(shown).toMatchObject({ code: 0, out: 'Sum up\nthe Albatross\tdeal\ufffd[2J\n' })
  const listed = await run('audit', '--event', 'captured.read', '--limit', '1')
  expect(listed.out.replaceAll(/\s+/g, ' ')).toContain(`prompt of ${id}: “INC-2: `)
  await expect.poll(async () => (await run('audit', 'export')).out).toContain(`"reason":${JSON.stringify(reason)}`)
})

test('rekeying survives SIGKILL of the broker: run again it ends, and the old key’s file is needed no more', async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  const taken = await withDataKeys(async (own, advance) => {
    const all = []
    for (let page = 0; page < PAGES; page += 1) {
      all.push(await own.take())
      advance(3600)
    }
    return all
  })
  broker = await serveErrand([], directory)
  const [old = ''] = files()
  expect((await run('keys', 'rotate-content')).code).toBe(0)
  const rekeying = await startErrand(['audit', 'rekey'], directory)
  expect(rekeying.out()).toContain('64 pages looked at')
  broker.signal('SIGKILL')
  await broker.ended
  await rekeying.stop()
  const between = await withDataKeys((own) => kindsOf(own, taken))
  expect(between).toEqual(['found'])
  broker = await serveErrand([], directory)
  const again = await run('audit', 'rekey')
  expect(again, again.err).toMatchObject({ code: 0, out: expect.stringContaining('done: ') })
  broker.signal('SIGTERM')
  await broker.ended
  rmSync(join(directory, 'keys', old))
  expect(await withDataKeys((own) => kindsOf(own, taken))).toEqual(['found'])
})

async function withDataKeys<T>(work: (own: DataKeys, advance: (seconds: number) => void) => Promise<T>): Promise<T> {
  let nowMs = Date.now()
  const clock = { nowMs: () => nowMs }
  const store = await openStore({
    kind: 'embedded',
    directory: join(directory, 'data'),
    org: 'default',
    clock: systemClock,
  })
  try {
    const own = new DataKeys(await KeyEncryptionKeys.open(join(directory, 'keys')), store.documents, clock)
    return await work(own, (seconds) => {
      nowMs += seconds * 1000
    })
  } finally {
    await store.close()
  }
}

async function kindsOf(own: DataKeys, taken: readonly { page: string; index: number; key: Buffer }[]) {
  const kinds = new Set<string>()
  for (const { key, ...place } of taken) {
    const found = await own.find(place)
    kinds.add(found.state === 'found' && !found.key.equals(key) ? 'another' : found.state)
  }
  return [...kinds]
}
