import { expect, test } from 'vitest'
import { approverWarnings } from '../../../../src/cli/check/approver-warnings.ts'
import type { AdminEntry } from '../../../../src/model/admin-role.ts'
import { decodeRegistry } from '../../../../src/registry/load-registry.ts'
import { testSettings, validDocument } from '../policy-document.ts'

const CAROL: AdminEntry = { user: 'corp:carol', roles: ['viewer', 'approver'] }

function warningsOf(resource: object, issuer: object, admins: readonly AdminEntry[]): readonly string[] {
  const document = validDocument()
  Object.assign(document.resources[0] ?? {}, resource)
  Object.assign(document.issuers[0] ?? {}, issuer)
  return approverWarnings(decodeRegistry(document, 'registry.yaml', { issuer: testSettings.issuer }), { admins })
}

const waits = { enforces: 'calls', tools: { search: { category: 'read', approval: 'required' } } }
const signsIn = { admin_audience: 'errand-admins' }

test('calls that wait, and nobody who could approve them, are told', () => {
  expect(warningsOf(waits, signsIn, [{ user: 'corp:erin', roles: ['viewer', 'security'] }])).toEqual([
    'approvals: search at notes wait for a person, and admins names nobody with the role approver',
  ])
  expect(warningsOf(waits, {}, [CAROL])).toEqual([
    'approvals: search at notes wait for a person, and nobody can sign in to approve: no issuer has an admin_audience',
  ])
})

test('nothing is said where somebody could, or nothing waits', () => {
  expect(warningsOf(waits, signsIn, [CAROL])).toEqual([])
  expect(warningsOf({ ...waits, enforces: 'arguments' }, {}, [])).toEqual([])
  expect(warningsOf({ enforces: 'calls' }, {}, [])).toEqual([])
})
