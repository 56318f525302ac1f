import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, vi } from 'vitest'
import { openStore } from '../../src/store/open-store.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { describeAudit } from './audit-contract.ts'
import { describeContents } from './contents-model.ts'
import { describeControl } from './control-contract.ts'
import { describeFullOutbox } from './full-outbox-contract.ts'
import { describeLog } from './log-contract.ts'
import { describeStore, type FreshOptions, type OpenedStore } from './store-contract.ts'
import { describeModel } from './store-model.ts'

vi.mock('../../src/kernel/store-limits.ts', async (original) =>
  (await import('../support/patient-limits.ts')).patientLimits(original),
)

let redis: RunningRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis?.stop())

/** Another organisation on the same server is another store. */
async function openFresh(options: FreshOptions = {}): Promise<OpenedStore> {
  const store = await openStore({ kind: 'redis', url: redis.url, org: `o-${randomUUID()}`, ...options })
  return { store, close: () => store.close() }
}

describeStore('redis', openFresh)
describeAudit('redis', openFresh)
describeControl('redis', openFresh)
describeLog('redis', openFresh)
describeFullOutbox('redis', openFresh)
describeContents('redis', openFresh)
describeModel('redis', openFresh)
