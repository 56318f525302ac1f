import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { newSessionId, type PrincipalId } from '../../../src/kernel/ids.ts'
import { APPROVALS_PER_SESSION_MAX } from '../../../src/kernel/limits.ts'
import { APPROVAL_STATES, type Approval, holds } from '../../../src/model/approval.ts'
import { requestApproval, sayWord, useApproval } from '../../../src/sessions/approval-commits.ts'
import {
  approvalField,
  approvalKey,
  approvalsIn,
  decodeApproval,
  encodeApproval,
  newApprovalId,
  sameCall,
  sessionOfApproval,
} from '../../../src/sessions/approval-record.ts'
import { enterState, openSession, revokeNodes } from '../../../src/sessions/session-commits.ts'
import { END, NOW, nodeFacts, ROOT, SESSION, sessionFacts } from './fixtures.ts'
import { type Fields, perform } from './interpreter.ts'

const KEY = 'the-key-of-a-call'
const approval = (more: Partial<Approval> = {}): Approval =>
  ({
    id: 'apr_1',
    key: KEY,
    session: SESSION,
    state: 'pending',
    path: [ROOT],
    agent: 'orchestrator',
    instance: undefined,
    subject: 'user:corp:alice',
    resource: 'https://warehouse.example/mcp',
    tool: 'drop_table',
    service: 'warehouse-server',
    sealed: 'digest',
    policy: 'version',
    requestedAt: NOW,
    until: NOW + 900,
    word: undefined,
    usedBy: undefined,
    ...more,
  }) as Approval
const word = { by: 'user:corp:carol' as PrincipalId, at: NOW + 1, reason: 'as agreed', rv: 7, epoch: 'e' }
const sealed = { digest: 'digest', text: 'sealed' }
const ask = (one: Approval, before?: Approval) => requestApproval(one, before, sealed, { now: NOW, notAfter: END })

test('what is stored comes back as it was, with the process that asked and without one', () => {
  for (const one of [
    approval(),
    approval({ instance: 'pod-7' }),
    approval({ state: 'approved', word, instance: 'pod-7' }),
  ]) {
    expect(decodeApproval(SESSION, KEY, encodeApproval(one))).toEqual(one)
  }
})

describe('what is written', () => {
  test('is read back as it was, and written again as it was', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 })
    const arbitrary = fc.record({
      id: text,
      state: fc.constantFrom(...APPROVAL_STATES),
      agent: text,
      subject: text,
      tool: text,
      sealed: text,
      policy: text,
      requestedAt: fc.nat(),
      until: fc.nat(),
      usedBy: fc.option(text, { nil: undefined }),
      word: fc.option(fc.record({ by: text, at: fc.nat(), reason: text, rv: fc.nat(), epoch: text }), {
        nil: undefined,
      }),
    })
    fc.assert(
      fc.property(arbitrary, (some) => {
        const one = approval(some as Partial<Approval>)
        const read = decodeApproval(SESSION, KEY, encodeApproval(one))
        expect(read).toEqual(one)
        expect(encodeApproval(read)).toBe(encodeApproval(one))
      }),
    )
  })

  test.each([
    '',
    '[]',
    '{}',
    'null',
    encodeApproval(approval()).replace('"apr_1"', '1'),
    '[1,2,3]',
  ])('anything else is a fault: %s', (text) => {
    expect(() => decodeApproval(SESSION, KEY, text)).toThrow('malformed')
  })

  test('an id names its session, is new each time, and nothing else is one', () => {
    const session = newSessionId()
    const [one, other] = [newApprovalId(session), newApprovalId(session)]
    expect(one).not.toBe(other)
    expect(sessionOfApproval(one)).toBe(session)
    for (const wrong of [
      '',
      'apr_',
      `${one}x`,
      one.slice(0, -1),
      one.replace('apr_', 'ses_'),
      `apr_${'.'.repeat(44)}`,
    ]) {
      expect(sessionOfApproval(wrong)).toBeUndefined()
    }
  })

  test('every member of a call is in its key, and none runs into the next', () => {
    const call = { session: 's', node: 'n', agent: 'a', subject: 'u', resource: 'r', tool: 't', digest: 'd' } as never
    const keys = ['session', 'node', 'agent', 'subject', 'resource', 'tool', 'digest'].map((member) =>
      approvalKey({ ...(call as object), [member]: 'x' } as never),
    )
    expect(new Set([approvalKey(call), ...keys]).size).toBe(8)
    const joined = { ...(call as object), agent: 'a","u', subject: '' } as never
    expect(approvalKey(joined)).not.toBe(approvalKey(call))
    expect(sameCall({ resource: 'r', tool: 't","d', digest: '' } as never)).not.toBe(sameCall(call))
  })

  test('a state ends when its time is up, and what is used holds nothing', () => {
    expect([NOW + 899, NOW + 900].map((now) => holds(approval(), now))).toEqual([true, false])
    expect(holds(approval({ state: 'used' }), NOW)).toBe(false)
  })
})

describe('as commits of the session', () => {
  const facts = sessionFacts()
  function opened(): Fields {
    const fields: Fields = new Map()
    expect(perform(fields, openSession(facts, nodeFacts(), false))).toBeUndefined()
    return fields
  }
  const use = (fields: Fields, one: Approval) =>
    perform(fields, { session: SESSION, notAfter: END, ...useApproval(one, 'dec_1' as never) })

  test('asked once, said once, used once', () => {
    const fields = opened()
    expect(perform(fields, ask(approval()))).toBeUndefined()
    expect(perform(fields, ask(approval({ id: 'apr_2' })))).toBe('approval_over')
    const said = { state: 'approved', word, until: NOW + 300 } as const
    expect(perform(fields, sayWord(approval(), said))).toBeUndefined()
    expect(perform(fields, sayWord(approval(), { ...said, state: 'denied' }))).toBe('approval_over')
    const approved = approval(said)
    expect(use(fields, approved)).toBeUndefined()
    expect(use(fields, approved)).toBe('approval_over')
    const [kept] = approvalsIn(SESSION, fields)
    expect(kept).toMatchObject({ state: 'used', usedBy: 'dec_1', word })
    // What is over makes place for the next.
    expect(perform(fields, ask(approval({ id: 'apr_3' }), kept))).toBeUndefined()
    expect(approvalsIn(SESSION, fields)).toMatchObject([{ id: 'apr_3', state: 'pending' }])
  })

  test('a session asks for so many, and no more', () => {
    const fields = opened()
    for (let at = 0; at < APPROVALS_PER_SESSION_MAX; at += 1) {
      expect(perform(fields, ask(approval({ key: `k${at}` })))).toBeUndefined()
    }
    expect(perform(fields, ask(approval({ key: 'one more' })))).toBe('approvals_exceeded')
    expect(fields.has(approvalField('one more'))).toBe(false)
  })

  test.each<[string, (fields: Fields) => unknown, string]>([
    ['halted', (fields) => perform(fields, enterState(SESSION, 'halted', END)), 'session_not_issuing'],
    ['revoked', (fields) => perform(fields, enterState(SESSION, 'revoked', END)), 'session_not_issuing'],
    ['at a hop that was revoked', (fields) => perform(fields, revokeNodes(SESSION, [ROOT], END)), 'node_revoked'],
  ])('in a session that is %s nothing is asked and nothing said', (_what, end, reason) => {
    const fields = opened()
    expect(perform(fields, ask(approval()))).toBeUndefined()
    end(fields)
    expect(perform(fields, ask(approval({ key: 'other' })))).toBe(reason)
    expect(perform(fields, sayWord(approval(), { state: 'approved', word, until: NOW + 300 }))).toBe(reason)
  })
})
