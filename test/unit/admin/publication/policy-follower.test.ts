import { expect, test } from 'vitest'
import { PolicyFollower } from '../../../../src/admin/publication/policy-follower.ts'
import type { ControlEntry } from '../../../../src/authority/cutoffs.ts'
import { CURRENT_POLICY } from '../../../../src/authority/policy-entry.ts'
import type { LoadedPolicy, PolicyLibrary } from '../../../../src/registry/publication/policy-library.ts'
import { LiveCutoffs } from '../../../../src/sessions/live-cutoffs.ts'
import { HandClock } from '../../sessions/fixtures.ts'

const published = (version: string, seq: number): ControlEntry => ({
  entry: 'policy',
  id: CURRENT_POLICY,
  version,
  seq,
  atMs: 1,
})
const loaded = (version: string) => ({ registry: { version }, documents: {} }) as unknown as LoadedPolicy

test.each(
  Array.from({ length: 12 }, (_, steps) => steps),
)('what is published %i steps after the version before began to load is loaded, too', async (steps) => {
  const library = { load: async (version: string) => loaded(version), remember: loaded }
  const cutoffs = new LiveCutoffs(new HandClock())
  const report = { loaded: () => undefined, failed: () => undefined }
  const parts = { library: library as unknown as PolicyLibrary, cutoffs, report }
  const follower = new PolicyFollower(parts, loaded('own'))
  cutoffs.written(1, [published('first', 1)])
  for (let step = 0; step < steps; step += 1) await undefined
  cutoffs.written(2, [published('second', 2)])
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(follower.current.version).toBe('second')
  follower.stop()
})
