/**
 * R173: brokers that prune while they run, and `kill -9` in the middle of it, on both stores: what is left verifies, another broker
 * goes on with what was announced, and nothing is announced twice.
 */
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { parseHead } from '../../src/audit/log/head.ts'
import { verifyAgainst } from '../../src/audit/log/verify/anchors.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { findLogKey } from '../../src/keys/log-key.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { growLog } from '../support/grown-log.ts'
import { trailOf } from '../support/log-filling.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type StoreOrder, storeConfig } from '../support/store-order.ts'

/** 70 whole bundles: five turns of pruning. */
const SIZE = 18_000
const LAST_WHOLE = 69

let redis: RunningRedis | undefined
let fleet: Fleet | undefined
afterEach(async () => {
  await fleet?.close()
  await redis?.stop()
})

/** What it does may be done twice: a machine with much to do keeps a Redis waiting for longer than a store waits for it. */
async function use<T>(order: StoreOrder, act: (store: Store) => Promise<T>): Promise<T> {
  const config = storeConfig(order)
  for (let left = 5; ; left -= 1) {
    const store = await openStore(
      config.kind === 'embedded' ? { ...config, org: 'default', clock: systemClock } : { ...config, org: 'default' },
    )
    try {
      return await act(store)
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || left === 0) throw error
    } finally {
      await store.close()
    }
  }
}

describe.each(['embedded', 'redis'] as const)('on the %s store', (kind) => {
  test('a broker killed in the middle of pruning leaves what verifies, and another prunes the rest', async () => {
    redis = kind === 'redis' ? await startRedis() : undefined
    let order: StoreOrder | undefined
    fleet = await startFleet((directory) => {
      order =
        redis === undefined
          ? { kind: 'embedded', directory: join(directory, 'store') }
          : { kind: 'redis', url: redis.url }
      return { store: order, keepMs: 0 }
    })
    if (order === undefined) throw new Error('a store')
    const { issuer, keysDirectory } = fleet
    await use(order, async (store) => growLog(store, SIZE - parseHead(await store.log.head()).size, '', true))
    const one = await fleet.start()
    const token = await fleet.managementToken()
    const isThere = async (broker: BrokerProcess, bundle: number): Promise<boolean> => {
      const pieces = [{ name: `records/${bundle}` }]
      const { status, body } = await broker.bearer('/admin/v1/audit/log', token, 'POST', { pieces })
      return status !== 200 || body.pieces[0].length !== null
    }
    await until(async () => !(await isThere(one, 0)))
    await one.kill()
    const verified = (store: Store) =>
      findLogKey({ directory: keysDirectory, development: true, issuer }).then(async (signer) => {
        const newest = await store.documents.read('audit-checkpoint')
        const keys = signer === undefined ? [] : [signer.key]
        return verifyAgainst({ newest, cosigned: undefined, kept: [] }, { keys, witnesses: [] }, { source: store.log })
      })
    await use(order, async (store) => {
      const [first, last] = await store.log.read(['records/0', `records/${LAST_WHOLE}`])
      expect([first === undefined, last === undefined]).toEqual([true, false])
      await verified(store)
      // As though the minute were over in which it might come back.
      const text = (await store.documents.read('audit-retention')) ?? ''
      const claim = JSON.parse(text)
      expect(claim).toMatchObject({ to: expect.any(Number), idle: false })
      await store.documents.replace('audit-retention', text, JSON.stringify({ ...claim, at: claim.at - 61_000 }))
    })
    const two = await fleet.start()
    await until(async () => !(await isThere(two, LAST_WHOLE)))
    expect(await two.stop()).toBe(0)
    await use(order, async (store) => {
      const whole = (LAST_WHOLE + 1) * 256
      expect((await verified(store)).pruned).toBe(whole)
      const notices = (await trailOf(store).page({ event: 'audit.pruned' }, 10)).entries
      expect(notices.map(({ record }) => record.pruned)).toEqual([expect.objectContaining({ from: 0, to: whole })])
    })
  })
})
