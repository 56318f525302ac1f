/** A witness signs one history of each log and no other (C2SP tlog-witness; H74). */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { parseNote, signaturesBy } from '../../../src/tlog/note.ts'
import { noteKey, parseVkey } from '../../../src/tlog/note-keys.ts'
import { consistencyProof } from '../../../src/tlog/proofs.ts'
import { Witness } from '../../../src/witness/witness.ts'
import { witnessHandler } from '../../../src/witness/witness-http.ts'
import { openWitnessKey, type WitnessKey } from '../../../src/witness/witness-key.ts'
import { WitnessState } from '../../../src/witness/witness-state.ts'
import { addRequest, WitnessedLog } from '../../support/witnessed-log.ts'

const NOW = 1_800_000_000
const root = await mkdtemp(join(tmpdir(), 'errand-witness-'))
afterAll(() => rm(root, { recursive: true }))
let count = 0
let directory = ''
let log: WitnessedLog
let own: WitnessKey
let seen: string[]

beforeEach(async () => {
  count += 1
  directory = join(root, String(count))
  log = new WitnessedLog('errand.example/audit')
  own = await openWitnessKey(directory, 'witness.example/w1')
  seen = []
})

const started = (more: readonly WitnessedLog[] = []) =>
  new Witness({
    ...own,
    logs: [log, ...more].map(({ key }) => key),
    state: new WitnessState(directory),
    now: () => NOW,
    onMisbehaviour: (_origin, what) => seen.push(what),
  })

test('a log that grows is signed at every size it is shown, also after a restart', async () => {
  const first = started()
  expect((await first.add(await log.grow(3).request(0))).status).toBe(200)
  expect((await first.add(await log.grow(300).request(3))).status).toBe(200)
  const checkpoint = await log.grow(1).checkpoint()
  const answer = await started().add(await log.request(303, checkpoint))
  const { text } = parseNote(checkpoint)
  const lines = 'text' in answer ? answer.text.trim().split('\n') : []
  expect(await signaturesBy({ text, lines }, [own.key])).toEqual([{ key: own.key, at: NOW }])
  // The same again is the same statement, at another time.
  expect((await started().add(await log.request(304))).status).toBe(200)
})

test('409 with the size it knows where the old size is another: also smaller ones, of a log that was rolled back', async () => {
  const witness = started()
  await witness.add(await log.grow(10).request(0))
  expect(await witness.add(await log.request(0))).toEqual({ status: 409, size: 10 })
  const restored = new WitnessedLog(log.key.name)
  Object.assign(restored, { privateKey: log.privateKey, key: log.key })
  expect(await witness.add(await restored.grow(5).request(5))).toEqual({ status: 409, size: 10 })
  expect(await witness.add(await log.grow(2).request(10))).toMatchObject({ status: 200 })
})

test('422 where the proof does not lead there, 409 and evidence where two roots of one size are signed', async () => {
  const witness = started()
  await witness.add(await log.grow(10).request(0))
  const fork = new WitnessedLog(log.key.name)
  Object.assign(fork, { privateKey: log.privateKey, key: log.key })
  expect(await witness.add(await fork.grow(12, 'other ').request(10))).toMatchObject({ status: 422 })
  const same = new WitnessedLog(log.key.name)
  Object.assign(same, { privateKey: log.privateKey, key: log.key })
  const forked = addRequest(10, [], await same.grow(10, 'other ').checkpoint())
  expect(await witness.add(forked)).toEqual({ status: 409, size: 10 })
  expect(seen).toEqual(['no proof that size 12 contains size 10', 'two roots at size 10'])
  const kept = (await readdir(directory)).filter((name) => name.endsWith('.evidence'))
  expect(await readFile(join(directory, kept[0] ?? ''), 'utf8')).toBe(forked)
  const proof = await consistencyProof(10, log.grow(5).tree.frontier.size, log.tree)
  expect((await witness.add(addRequest(10, proof.slice(1), await log.checkpoint()))).status).toBe(422)
  expect((await witness.add(addRequest(10, proof, await log.checkpoint()))).status).toBe(200)
})

test('404 for a log it does not know, 403 for one that no known key has signed', async () => {
  const stranger = new WitnessedLog('other.example/audit').grow(1)
  expect((await started().add(await stranger.request(0))).status).toBe(404)
  const forger = new WitnessedLog(log.key.name).grow(1)
  expect((await started().add(await forger.request(0))).status).toBe(403)
  expect(await readdir(directory)).toEqual(['witness.key'])
})

test('a log may change its key: both are of one history', async () => {
  const successor = new WitnessedLog(log.key.name)
  Object.assign(successor, { tree: log.tree })
  const witness = started([successor])
  expect((await witness.add(await log.grow(4).request(0))).status).toBe(200)
  expect((await witness.add(await successor.grow(4).request(4))).status).toBe(200)
})

test('400 for what is no request, and for an old size beyond the checkpoint’s', async () => {
  const good = await log.grow(10).request(0)
  const bad = [
    '',
    'old 0\n',
    good.replace('old 0', 'old 00'),
    good.replace('old', 'new'),
    good.replace('\n10\n', '\n1O\n'),
  ]
  bad.push(
    good.replace('old 0\n', 'old 0\nAAAA\n'),
    good.replace('old 0\n', `old 0\n${`${'A'.repeat(43)}=\n`.repeat(64)}`),
  )
  bad.push(addRequest(11, [], await log.checkpoint()))
  for (const body of bad) expect((await started().add(body)).status, body.slice(0, 40)).toBe(400)
})

test('of requests that arrive together one is signed; the others are told what the log is now', async () => {
  const witness = started()
  await witness.add(await log.grow(1).request(0))
  const requests = []
  for (let size = 2; size <= 20; size++) requests.push(await log.grow(1).request(1))
  const answers = await Promise.all(requests.map((request) => witness.add(request)))
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(answers.filter(({ status }) => status === 409)).toHaveLength(18)
})

test('what it remembers cannot be read: it signs nothing, rather than anything', async () => {
  await started().add(await log.grow(10).request(0))
  const name = (await readdir(directory)).find((one) => one.endsWith('.checkpoint')) ?? ''
  await writeFile(join(directory, name), 'errand.example/audit\n')
  await expect(started().add(await log.request(0))).rejects.toThrow()
  const handler = witnessHandler(started(), (fault) => seen.push(String(fault)))
  const request = new Request('http://w/add-checkpoint', { method: 'POST', body: await log.request(0) })
  expect((await handler(request)).status).toBe(500)
  expect(seen).toHaveLength(1)
})

test('over HTTP: statuses, text/x.tlog.size, and nothing but add-checkpoint', async () => {
  const handler = witnessHandler(started(), () => undefined)
  const ask = (body: string, path = '/add-checkpoint', method = 'POST') =>
    handler(new Request(`http://w${path}`, method === 'GET' ? {} : { method, body }))
  await ask(await log.grow(7).request(0))
  const conflict = await ask(await log.request(0))
  expect([conflict.status, conflict.headers.get('content-type'), await conflict.text()]).toEqual([
    409,
    'text/x.tlog.size',
    '7\n',
  ])
  expect((await ask('')).status).toBe(400)
  expect((await ask('x'.repeat(200_000))).status).toBe(400)
  expect((await ask('', '/add-checkpoint', 'GET')).status).toBe(405)
  expect((await ask('', '/other')).status).toBe(404)
  expect((await ask('', '/healthz', 'GET')).status).toBe(200)
})

test('a witness keeps its name: the key is never used under another', async () => {
  const again = await openWitnessKey(directory, undefined)
  expect(again.key.vkey).toBe(own.key.vkey)
  expect(parseVkey(again.key.vkey).kind).toBe('witness')
  await expect(openWitnessKey(directory, 'witness.example/w2')).rejects.toThrow('another directory')
  await expect(openWitnessKey(join(root, 'new'), undefined)).rejects.toThrow('name')
  expect(noteKey('witness.example/w1', 'witness', own.privateKey).vkey).toBe(own.key.vkey)
})
