/**
 * H75: processes that sequence one store at once, and die by SIGKILL between any two steps of it. Whatever happens, each record
 * that was acknowledged is in the log once, and every checkpoint that anybody ever signed is one of that log.
 */
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { holdDirectory } from '../../src/store/embedded-store.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { Frontier } from '../../src/tlog/frontier.ts'
import { leafHash } from '../../src/tlog/hashes.ts'
import { saltedEntry } from '../../src/tlog/salted-entry.ts'
import { type RunningChild, runChild } from '../support/child.ts'
import { PATIENCE_MS, whenAvailable } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { KILL_STEPS, type SequencerOrder } from '../support/sequencer-child.ts'
import { testSigner, wholeLog } from '../support/whole-log.ts'

const CHILD = new URL('../support/sequencer-child.ts', import.meta.url)
const signer = testSigner()

interface Shared {
  readonly order: SequencerOrder['store']
  readonly store: Store
  close(): Promise<void>
}

async function embedded(): Promise<Shared> {
  const directory = scratchDirectory('errand-sequencer-')
  const held = holdDirectory(directory, () => undefined)
  const peers = { lockHolderPid: process.pid, notify: () => undefined, onNotified: () => undefined }
  const store = await openStore({ kind: 'embedded', directory, org: 'default', clock: systemClock, peers })
  return {
    order: { kind: 'embedded', directory, lockHolderPid: process.pid },
    store,
    async close() {
      await store.close()
      held.release()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function redis(): Promise<Shared> {
  const server: RunningRedis = await startRedis()
  const store = await openStore({ kind: 'redis', url: server.url, org: 'default' })
  return {
    order: { kind: 'redis', url: server.url },
    store,
    async close() {
      await store.close()
      await server.stop()
    },
  }
}

describe.each([
  ['embedded', embedded],
  ['redis', redis],
] as const)('on one %s store', (_name, openShared) => {
  let shared: Shared
  const children: RunningChild[] = []
  beforeAll(async () => {
    shared = await openShared()
  })
  afterAll(async () => {
    for (const child of children) await child.kill()
    await shared.close()
  })

  function start(order: Partial<SequencerOrder>): RunningChild {
    const child = runChild(CHILD, [])
    child.send(JSON.stringify({ store: shared.order, pem: signer.pem, first: 20, meanwhile: 5, ...order }))
    children.push(child)
    return child
  }

  const said = (word: string) =>
    children.flatMap(({ lines }) =>
      lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1)),
    )

  /** Everything that was acknowledged is in the log, and everything that was signed is of it. */
  async function expectAll(): Promise<void> {
    const last = start({ first: 1, meanwhile: 0 })
    const logged = async () => (await wholeLog(shared.store, signer)).records.map(({ text }) => text)
    const missing = async () => {
      const texts = new Set(await logged().catch(() => []))
      return said('acked').filter((text) => !texts.has(text)).length
    }
    await expect.poll(() => said('acked').length > 0 && last.lines.includes('ready')).toBe(true)
    await expect.poll(missing).toBe(0)
    last.process.kill('SIGTERM')
    await last.exited
    const { records } = await whenAvailable(() => wholeLog(shared.store, signer))
    const texts = records.map(({ text }) => text)
    expect(new Set(texts).size).toBe(texts.length)
    const tree = Frontier.empty()
    const roots = records.map(({ salt, text }) => {
      tree.add(leafHash(saltedEntry(salt, text)))
      return tree.root().toString('base64')
    })
    for (const line of said('signed')) {
      const [size, root] = line.split(' ')
      expect([size, roots[Number(size) - 1]]).toEqual([size, root])
    }
    // A store that is late on a busy machine is asked again.
    expect(said('failed').filter((line) => !line.startsWith('store '))).toEqual([])
  }

  test('one that dies at any step leaves a log that the next goes on with', async () => {
    for (const dieAt of KILL_STEPS) {
      const child = start({ dieAt })
      await expect(Promise.race([child.exited, sleep(PATIENCE_MS, `still alive ${dieAt}`)])).resolves.toBe(null)
    }
    await expectAll()
  })

  test('three that race, killed at random, never lose, double or fork', async () => {
    const racing = [start({}), start({}), start({})]
    const hasBegun = (child: RunningChild | undefined) => child?.lines.some((line) => line === 'ready')
    const allBegun = () => expect.poll(() => racing.every(hasBegun)).toBe(true)
    for (let round = 0; round < 4; round++) {
      await allBegun()
      await sleep(200 + 100 * round)
      await racing[round % 3]?.kill()
      racing[round % 3] = start({})
    }
    await allBegun()
    await expect.poll(() => said('signed').length).toBeGreaterThan(20)
    await sleep(500)
    for (const child of racing) await child.kill()
    await expectAll()
  })
})
