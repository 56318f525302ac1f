import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { openStore } from '../../src/store/open-store.ts'
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

async function openFresh(options: FreshOptions = {}): Promise<OpenedStore> {
  const directory = mkdtempSync(join(tmpdir(), 'errand-store-'))
  const store = await openStore({ kind: 'embedded', directory, org: 'acme', clock: systemClock, ...options })
  return {
    store,
    async close() {
      await store.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

describeStore('embedded', openFresh)
describeAudit('embedded', openFresh)
describeControl('embedded', openFresh)
describeLog('embedded', openFresh)
describeFullOutbox('embedded', openFresh)
describeContents('embedded', openFresh)
describeModel('embedded', openFresh)
