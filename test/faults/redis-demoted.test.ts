/**
 * A primary that becomes a replica closes only connections that wait for something, and keeps its own history until it has taken
 * over another's: whoever reads of it in between would confirm what is older than the revocations acknowledged elsewhere.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStore } from '../../src/store/open-store.ts'
import { RedisKeys } from '../../src/store/redis-keys.ts'
import { readSince, readSnapshot } from '../../src/store/redis-readings.ts'
import { RedisServer } from '../../src/store/redis-server.ts'
import { eventually, Recorder } from '../contract/control-contract.ts'
import { freePort } from '../support/free-port.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { ask } from '../support/redis-replicas.ts'

let server: RunningRedis
beforeEach(async () => {
  server = await startRedis()
})
afterEach(() => server.stop())

/** Of a primary that cannot be reached. */
const demoted = async () => ask(server.port, ['REPLICAOF', '127.0.0.1', String(await freePort())])
const promoted = () => ask(server.port, ['REPLICAOF', 'NO', 'ONE'])

test.each([
  ['a snapshot', readSnapshot],
  ['what was written since', (link: RedisServer, keys: RedisKeys) => readSince(link, keys, 0)],
] as const)('%s is not read from a server that has become a replica, on a connection from before', async (_of, read) => {
  const link = new RedisServer({ url: server.url }, 'errand-test')
  const keys = new RedisKeys('acme')
  try {
    await link.open()
    await read(link, keys)
    await demoted()
    await expect(read(link, keys)).rejects.toThrow(/READONLY/)
  } finally {
    link.close()
  }
})

test('a follower confirms nothing from it, and goes on when it is the primary again', async () => {
  const store = await openStore({ kind: 'redis', url: server.url, org: 'acme' })
  const recorder = new Recorder()
  const following = await store.control.follow(recorder)
  try {
    await eventually('a confirmation', () => recorder.confirmations.length > 1)
    await demoted()
    // What was read before may still arrive.
    await new Promise((resolve) => setTimeout(resolve, 300))
    const { length } = recorder.confirmations
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(recorder.confirmations).toHaveLength(length)
    await promoted()
    await eventually('a confirmation', () => recorder.confirmations.length > length)
  } finally {
    await following.stop()
    await store.close()
  }
})
