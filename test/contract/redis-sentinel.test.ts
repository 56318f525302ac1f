/** The same contract on a primary that Sentinels name. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, vi } from 'vitest'
import { openStore } from '../../src/store/open-store.ts'
import { type ReplicatedRedis, startReplicatedRedis } from '../support/redis-replicas.ts'
import { describeAudit } from './audit-contract.ts'
import { describeControl } from './control-contract.ts'
import { describeLog } from './log-contract.ts'
import { describeStore, type FreshOptions, type OpenedStore } from './store-contract.ts'
import { describeModel } from './store-model.ts'

vi.mock('../../src/kernel/store-limits.ts', async (original) =>
  (await import('../support/patient-limits.ts')).patientLimits(original),
)

let servers: ReplicatedRedis
beforeAll(async () => {
  servers = await startReplicatedRedis({ replicas: 1, downAfterMs: 15_000 })
})
afterAll(() => servers?.stop())

async function openFresh(options: FreshOptions = {}): Promise<OpenedStore> {
  const sentinel = { name: servers.name, hosts: servers.hosts, tls: false }
  const store = await openStore({ kind: 'redis', sentinel, org: `o-${randomUUID()}`, ...options })
  return { store, close: () => store.close() }
}

describeStore('redis by sentinel', openFresh)
describeAudit('redis by sentinel', openFresh)
describeControl('redis by sentinel', openFresh)
describeLog('redis by sentinel', openFresh)
describeModel('redis by sentinel', openFresh)
