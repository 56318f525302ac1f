/** The same contract on a Redis Cluster: sessions, claims, lists and control lie on different servers. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, vi } from 'vitest'
import { openStore } from '../../src/store/open-store.ts'
import { type RunningCluster, startRedisCluster } from '../support/redis-cluster.ts'
import { describeAudit } from './audit-contract.ts'
import { describeControl } from './control-contract.ts'
import { describeFullOutbox } from './full-outbox-contract.ts'
import { describeLog } from './log-contract.ts'
import { describeStore, type FreshOptions, type OpenedStore } from './store-contract.ts'
import { describeModel } from './store-model.ts'

vi.mock('../../src/kernel/store-limits.ts', async (original) =>
  (await import('../support/patient-limits.ts')).patientLimits(original),
)

let cluster: RunningCluster
beforeAll(async () => {
  cluster = await startRedisCluster({ replicas: 0, downAfterMs: 15_000 })
})
afterAll(() => cluster?.stop())

async function openFresh(options: FreshOptions = {}): Promise<OpenedStore> {
  const seeds = cluster.urls.slice(0, 2)
  const store = await openStore({ kind: 'redis', cluster: seeds, org: `o-${randomUUID()}`, ...options })
  return { store, close: () => store.close() }
}

describeStore('redis cluster', openFresh)
describeAudit('redis cluster', openFresh)
describeControl('redis cluster', openFresh)
describeLog('redis cluster', openFresh)
describeFullOutbox('redis cluster', openFresh)
describeModel('redis cluster', openFresh)
