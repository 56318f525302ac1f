/** A log that was put back is known to its witness, and nothing more is signed of it (H74; C2SP tlog-witness). */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LogContradicted } from '../../../../src/audit/log/log-contradicted.ts'
import { CHECKPOINT_DOCUMENT, COSIGNED_DOCUMENT } from '../../../../src/audit/log/log-documents.ts'
import { receiptOf } from '../../../../src/audit/log/receipts.ts'
import { Witnessing } from '../../../../src/audit/log/witnessing.ts'
import { type Listening, listen } from '../../../../src/http/listener.ts'
import { createGuardedPost } from '../../../../src/net/guarded-fetch.ts'
import { type Store, StoreUnavailable } from '../../../../src/store/ports.ts'
import { openCheckpoint } from '../../../../src/tlog/checkpoint.ts'
import { signNote } from '../../../../src/tlog/note.ts'
import { noteKey } from '../../../../src/tlog/note-keys.ts'
import { openReceipt } from '../../../../src/tlog/receipt.ts'
import { Witness } from '../../../../src/witness/witness.ts'
import { witnessHandler } from '../../../../src/witness/witness-http.ts'
import { openWitnessKey, type WitnessKey } from '../../../../src/witness/witness-key.ts'
import { WitnessState } from '../../../../src/witness/witness-state.ts'
import { embeddedAtRest, type StoreAtRest } from '../../../support/at-rest.ts'
import { growLog, publishCheckpoint } from '../../../support/grown-log.ts'

const NOW = 1_800_000_000
const privateKey = generateKeyPairSync('ed25519').privateKey
const key = noteKey('errand.example/audit', 'log', privateKey)
const signer = { key, sign: (text: string) => signNote(text, key, privateKey) }
const secondKey = noteKey('errand.example/audit/2', 'log', privateKey)
const secondSigner = { key: secondKey, sign: (text: string) => signNote(text, secondKey, privateKey) }
let signing = signer
const post = createGuardedPost({ allowLoopback: true })

let directory: string
let own: WitnessKey
let listening: Listening
let at: StoreAtRest
let told: string[]
let nowMs = 0
const ticks = { ticksMs: () => nowMs }

const served = (fetch: (request: Request) => Promise<Response>) =>
  listen(
    {
      app: { fetch },
      countUnread: () => undefined,
      readiness: { stop: () => undefined },
      endStreams: () => undefined,
      close: async () => undefined,
    },
    { host: '127.0.0.1', port: 0 },
  )

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-witnessing-'))
  own = await openWitnessKey(directory, 'witness.example/w1')
  const state = new WitnessState(directory)
  const witness = new Witness({ ...own, logs: [key], state, now: () => NOW, onMisbehaviour: () => undefined })
  listening = await served(witnessHandler(witness, () => undefined))
  at = embeddedAtRest()
  told = []
  signing = signer
})
afterEach(async () => {
  await listening.stop()
  await at.close()
  rmSync(directory, { recursive: true, force: true })
})

function broker(store: Store, url = `http://127.0.0.1:${listening.port}`): Witnessing {
  const witnesses = [{ url, key: own.key }]
  const failed = (_name: string, error: unknown) => told.push(error instanceof Error ? error.message : '')
  return new Witnessing({
    witnesses,
    post,
    documents: store.documents,
    log: store.log,
    ticks,
    signer: async () => signing,
    failed,
  })
}

test('each checkpoint is co-signed, also by a broker that does not know what the witness has signed; receipts carry it', async () => {
  await at.use(async (store) => {
    await growLog(store, 5)
    await publishCheckpoint(store, signer)
    await broker(store).ask()
    await growLog(store, 300)
    await publishCheckpoint(store, signer)
    const another = broker(store)
    await another.assertMaySign()
    const cosigned = (await store.documents.read(COSIGNED_DOCUMENT)) ?? ''
    const { checkpoint, signed } = await openCheckpoint(cosigned, [key, own.key])
    expect([checkpoint.size, signed.map((one) => one.at)]).toEqual([305, [undefined, NOW]])
    const receipt = await openReceipt((await receiptOf(7, store)) ?? '', [key, own.key])
    expect(receipt.signed).toHaveLength(2)
  })
  expect(told).toEqual([])
})

test('a store that was restored from a backup is found by the first broker that starts on it: it signs nothing', async () => {
  await at.use(async (store) => {
    await growLog(store, 5)
    await publishCheckpoint(store, signer)
  })
  const backup = await at.tamper((data) => data.copy())
  await at.use(async (store) => {
    await growLog(store, 10)
    await publishCheckpoint(store, signer)
    await broker(store).ask()
  })
  const good = await at.tamper((data) => data.copy())
  await at.tamper((data) => data.restore(backup))
  await at.use(async (store) => {
    const restarted = broker(store)
    const fault = await restarted.assertMaySign().catch((error: unknown) => error)
    expect(fault).toBeInstanceOf(LogContradicted)
    expect([(fault as LogContradicted).how, (fault as Error).message]).toEqual([
      'rolled_back',
      'the audit log is signed up to 5 records, and witness.example/w1 has co-signed 15',
    ])
    // Grown again past what was witnessed, it is another log.
    await growLog(store, 20, 'other')
    await publishCheckpoint(store, signer)
    await restarted.ask()
    await expect(restarted.assertMaySign()).rejects.toMatchObject({ how: 'forked' })
  })
  expect(told).toHaveLength(2)
  await at.tamper((data) => data.restore(good))
  await at.use((store) => broker(store).assertMaySign())
})

test('one that was put back without its checkpoints is found, too: the witness is asked before anything is signed', async () => {
  await at.use(async (store) => {
    await growLog(store, 5)
  })
  const backup = await at.tamper((data) => data.copy())
  await at.use(async (store) => {
    const first = broker(store)
    await first.assertMaySign()
    await growLog(store, 10)
    await publishCheckpoint(store, signer)
    await first.ask()
  })
  await at.tamper((data) => data.restore(backup))
  await at.use(async (store) => {
    const restarted = broker(store)
    const how = { how: 'rolled_back', message: expect.stringContaining('up to 0 records, and witness.example/w1') }
    await expect(restarted.assertMaySign()).rejects.toMatchObject(how)
    expect(await store.documents.read(COSIGNED_DOCUMENT)).toBeUndefined()
    // What the log is called since is another matter: its witness knows nothing of it, and is asked again.
    signing = secondSigner
    restarted.continued(secondKey.name)
    await restarted.assertMaySign()
  })
})

test('a store that does not answer when witnesses are to be asked first is no leave to sign', async () => {
  await at.use(async (store) => {
    await growLog(store, 5)
    await publishCheckpoint(store, signer)
    let isAway = true
    const read = async (name: string) => {
      if (isAway) throw new StoreUnavailable('away')
      return store.documents.read(name)
    }
    const documents = { read, replace: store.documents.replace.bind(store.documents) }
    const one = broker({ ...store, log: store.log, documents } as Store)
    await expect(one.assertMaySign()).rejects.toThrow(StoreUnavailable)
    isAway = false
    await one.assertMaySign()
    expect(one.behindMs.get('witness.example/w1')).toBe(0)
    expect(await store.documents.read(COSIGNED_DOCUMENT)).toBeDefined()
  })
})

test('a broker that was told so goes on when the witness signs what the store has again', async () => {
  await at.use(async (store) => {
    await growLog(store, 5)
    const early = await publishCheckpoint(store, signer)
    const earlyState = await store.log.head()
    await growLog(store, 5)
    const late = await publishCheckpoint(store, signer)
    const one = broker(store)
    await one.ask()
    expect(earlyState).toBeDefined()
    // As behind a failover that has lost the last second, until whoever remembers it gives it back.
    const { documents } = store
    const seen = { ...store.log, head: async () => earlyState, read: store.log.read.bind(store.log) }
    const other = new Witnessing({
      witnesses: [{ url: `http://127.0.0.1:${listening.port}`, key: own.key }],
      post,
      documents,
      log: seen,
      ticks,
      signer: async () => signer,
      failed: () => undefined,
    })
    await documents.replace(CHECKPOINT_DOCUMENT, late, early)
    await expect(other.assertMaySign()).rejects.toMatchObject({ how: 'rolled_back' })
    await documents.replace(CHECKPOINT_DOCUMENT, early, late)
    await other.ask()
    await other.assertMaySign()
  })
})

test('for how long a witness has not signed what there is, is known: of one that is silent, and of a log that stands still', async () => {
  await at.use(async (store) => {
    await growLog(store, 5)
    await publishCheckpoint(store, signer)
    const one = broker(store)
    const age = () => one.behindMs.get('witness.example/w1')
    await one.ask()
    nowMs += 60_000
    await one.ask()
    expect(age()).toBe(0)
    await listening.stop()
    await growLog(store, 5)
    await publishCheckpoint(store, signer)
    nowMs += 60_000
    await one.ask()
    expect(age()).toBe(60_000)
  })
})

test('a witness that cannot be reached, or is another one, is told and holds nobody up', async () => {
  const rude = await served(async () => new Response('no', { status: 500 }))
  await at.use(async (store) => {
    await growLog(store, 5)
    await publishCheckpoint(store, signer)
    await broker(store, `http://127.0.0.1:${rude.port}`).assertMaySign()
    await rude.stop()
    await broker(store, `http://127.0.0.1:${rude.port}`).assertMaySign()
    expect(await store.documents.read(COSIGNED_DOCUMENT)).toBeUndefined()
  })
  expect(told).toEqual([expect.stringContaining('status 500'), expect.stringContaining('could not be reached')])
})
