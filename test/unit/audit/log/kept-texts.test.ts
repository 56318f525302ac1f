/** What a verifier looks for beside a record is what was kept with it, and nothing that never was. */
import { expect, test } from 'vitest'
import { keptTexts } from '../../../../src/audit/log/kept-texts.ts'
import type { AuditRecord } from '../../../../src/model/audit-record.ts'

const record: AuditRecord = {
  id: 'dec_1',
  at: '2026-11-22T03:00:00.000Z',
  event: 'token.continue',
  outcome: 'granted',
  by: 'agent:analyst',
  by_class: 'agent',
}
const members = (more: Partial<AuditRecord>) => keptTexts({ ...record, ...more }).map(([member]) => member)

test('of a grant: the question, the authority, what was captured and kept', () => {
  const captured = { prompt: 'p', arguments: 'sha256:a' }
  expect(members({ question: 'q', authority: 'a', captured })).toEqual(['question', 'authority', 'captured.prompt'])
})

test('of a refusal: the question; of what nobody was given no authority was kept', () => {
  expect(members({ outcome: 'refused', reason: 'policy_denied', question: 'q', authority: 'a' })).toEqual(['question'])
})

test('of how a commit ended nothing: the texts are beside its other record, or nowhere', () => {
  expect(members({ outcome: 'undone', question: 'q' })).toEqual([])
  expect(members({ outcome: 'refused', reason: 'store_unavailable', question: 'q' })).toEqual([])
})

test('of a change: both texts, unless one was too long to be kept', () => {
  const change = { object: 'agents/a', before: 'b', after: 'a' }
  expect(members({ change })).toEqual(['change.before', 'change.after'])
  expect(members({ change: { ...change, too_long: true } })).toEqual([])
})

test('sealed arguments lie beside the asking for an approval, not beside its answer', () => {
  expect(members({ event: 'approval.requested', sealed: 's' })).toEqual(['sealed'])
  expect(members({ event: 'approval.granted', sealed: 's' })).toEqual([])
})
