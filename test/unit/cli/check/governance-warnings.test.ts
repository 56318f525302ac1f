import { expect, test } from 'vitest'
import { governanceWarnings } from '../../../../src/cli/check/governance-warnings.ts'
import { decodeRegistry } from '../../../../src/registry/load-registry.ts'
import { publicJwk, testKey } from '../../../support/keys.ts'
import { testSettings, validDocument } from '../policy-document.ts'

type Document = ReturnType<typeof validDocument>
const NOW = Date.parse('2026-06-01T00:00:00Z') / 1000

function warningsOf(change: (document: Document) => void): readonly string[] {
  const document = validDocument()
  change(document)
  return governanceWarnings(decodeRegistry(document, 'registry.yaml', { issuer: testSettings.issuer }), NOW)
}

const set = (entry: object | undefined, more: object) => Object.assign(entry ?? {}, more)
const key = () => ({ ...publicJwk(testKey('shared')), version: '1' })

test('there are none where everything has an owner, or a team', () => {
  expect(warningsOf(() => undefined)).toEqual([])
  expect(warningsOf(({ agents }) => set(agents[0], { certified_until: '2026-06-01T00:00:01Z' }))).toEqual([])
})

test.each<[string, (document: Document) => void]>([
  ['orphaned; its owner user:corp:gone has left', ({ agents }) => set(agents[0], { owner: 'user:corp:gone' })],
  ['orphaned; its owner group:gone has left', ({ resources }) => set(resources[0], { owner: 'group:gone' })],
  [
    'was certified until 2026-06-01T00:00:00Z',
    ({ agents }) => set(agents[0], { certified_until: '2026-06-01T00:00:00Z' }),
  ],
  ['was certified until', ({ resources }) => set(resources[0], { certified_until: '2026-01-01T00:00:00Z' })],
  ['external without a vendor_review', ({ resources }) => set(resources[0], { exposure: 'external' })],
  [
    'share one key',
    (document) => {
      set(document.agents[0], { keys: [key()] })
      document.agents.push({ ...structuredClone(document.agents[0]), client_id: 'other', upstream: {} } as never)
    },
  ],
])('%s', (says, change) => {
  const warnings = warningsOf(change)
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain(says)
})

test('what is retired needs nobody, and is certified by nobody', () => {
  const end = { state: 'retired', owner: 'user:corp:gone', certified_until: '2026-01-01T00:00:00Z' }
  expect(warningsOf(({ agents }) => set(agents[0], end))).toEqual([])
})
