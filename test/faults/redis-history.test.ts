/**
 * A primary that was restarted begins another history as soon as the first replica comes back to it, under connections that are
 * there already. Of a follower's two, one may have been made before that and the other after: it finds out anew what they lead to,
 * and does not stay behind for ever.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { openStore } from '../../src/store/open-store.ts'
import { Recorder } from '../contract/control-contract.ts'
import { startRedis } from '../support/redis.ts'
import { ask } from '../support/redis-replicas.ts'

const DURABLE = ['--appendonly', 'yes', '--min-replicas-to-write', '1']

const closing: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

test('a follower whose connections were made in two histories confirms what it hears', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'errand-history-'))
  closing.push(() => rmSync(dir, { recursive: true, force: true }))
  let primary = await startRedis({ dir, args: DURABLE })
  closing.push(() => primary.stop())
  const { port } = primary
  const info = async () => String(await ask(port, ['INFO', 'replication']))
  const history = async () => /master_replid:(\w+)/.exec(await info())?.[1]
  /** What each of the follower's connections has asked last, with its id. */
  const connections = async () => {
    const all = String(await ask(port, ['CLIENT', 'LIST'])).matchAll(
      /^id=(\d+) .*name=(errand-follower\S*) .*cmd=(\S+)/gm,
    )
    return [...all].map(([, id = '', name = '', command = '']) => ({ id, name, command }))
  }
  const replica = await startRedis({ args: ['--replicaof', `127.0.0.1 ${port}`, '--repl-timeout', '5'] })
  let following = replica
  closing.push(() => following.stop())
  await expect.poll(info).toContain('state=online')

  const store = await openStore({ kind: 'redis', url: primary.url, replicas: 1, org: 'acme' })
  closing.push(() => store.close())
  const recorder = new Recorder()
  const { stop } = await store.control.follow(recorder)
  closing.push(stop)

  await replica.kill()
  await primary.kill()
  primary = await primary.again()
  const alone = await history()
  const looked = async () => (await connections()).filter(({ command }) => command !== 'NULL' && command !== 'client')
  await expect.poll(async () => (await looked()).length).toBe(2)
  following = await replica.again()
  await expect.poll(info).toContain('state=online')
  expect(await history()).not.toBe(alone)
  const [asking] = (await connections()).filter(({ name }) => name.endsWith('-replicas'))
  await ask(port, ['CLIENT', 'KILL', 'ID', asking?.id ?? ''])

  const confirmed = recorder.confirmations.length
  await expect.poll(() => recorder.confirmations.length).toBeGreaterThan(confirmed + 5)
  const { seq } = await store.control.write([], 0)
  await expect.poll(() => recorder.confirmedSeq).toBeGreaterThanOrEqual(seq)
})
