/** One call, as the commit that counts it: alive down to the token, and within every limit at or above its hop. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { NodeFacts } from '../../../src/model/session.ts'
import { callCounters, countCall } from '../../../src/sessions/call-counters.ts'
import {
  acceptDelegation,
  enterState,
  offerDelegation,
  openSession,
  revokeLeaf,
  revokeNodes,
} from '../../../src/sessions/session-commits.ts'
import {
  authority,
  CHILD,
  child,
  END,
  NOW,
  nodeFacts,
  ROOT,
  SESSION,
  SLACK,
  sessionFacts,
  WAREHOUSE,
} from './fixtures.ts'
import { type Fields, perform } from './interpreter.ts'

const limited = (node: NodeFacts, maxCalls: number): NodeFacts => {
  const { resources, ...rest } = authority()
  const here = new Map([...resources].map(([url, at]) => [url, { ...at, limits: { maxCalls } }] as const))
  return { ...node, authority: { ...rest, resources: here } }
}

const facts = sessionFacts()
const read = { facts, state: 'active' } as const
const root = limited(nodeFacts(), 3)
const below = limited(child(), 2)
let fields: Fields

beforeEach(() => {
  fields = new Map()
  expect(perform(fields, openSession(facts, root, false))).toBeUndefined()
  expect(perform(fields, offerDelegation(read, [ROOT], below, NOW))).toBeUndefined()
  expect(perform(fields, acceptDelegation(read, [ROOT], below, { withLeaf: false, now: NOW }))).toBeUndefined()
})

const call = (path: readonly NodeFacts[], { tool = 'query', jti = 'jti_leaf', now = NOW } = {}) => {
  const counters = callCounters(path, WAREHOUSE, tool)
  const ids = path.map(({ id }) => id)
  return perform(fields, countCall(read, ids, { jti, counters, now }))
}

describe('a call', () => {
  test('counts at its hop and at each above that limits it, of each tool by itself', () => {
    expect([call([root, below]), call([root, below])]).toEqual([undefined, undefined])
    expect(call([root, below])).toBe('calls_exhausted')
    expect(call([root, below], { tool: 'list' })).toBeUndefined()
    expect(call([root])).toBeUndefined()
    expect(call([root])).toBe('calls_exhausted')
    expect([fields.get(`c:${ROOT}`), fields.get(`c:${CHILD}`)]).toEqual(['1', '3'])
  })

  test('at a server that nothing limits counts in no field but its hop’s own', () => {
    expect(callCounters([root, below], SLACK, 'query')).toEqual([])
    expect(callCounters([nodeFacts(), child()], WAREHOUSE, 'query')).toEqual([])
  })

  test('of one server is not the same tool of another, nor a name that runs into its URL', () => {
    const other = new Map(
      [...root.authority.resources].flatMap(
        ([url, at]) =>
          [
            [url, at],
            [SLACK, at],
          ] as const,
      ),
    )
    const both = { ...root, authority: { ...root.authority, resources: other } }
    const named = [
      ...callCounters([both], WAREHOUSE, 'query'),
      ...callCounters([both], SLACK, 'query'),
      ...callCounters([both], WAREHOUSE, 'Query'),
    ].map(({ field }) => field)
    expect(new Set(named).size).toBe(3)
  })

  test.each([
    ['the session was halted', () => enterState(SESSION, 'halted', END), 'session_not_issuing'],
    [
      'the session was contracted since it was read',
      () => enterState(SESSION, 'contracted', END),
      'session_not_issuing',
    ],
    ['a hop above was revoked', () => revokeNodes(SESSION, [ROOT], END), 'node_revoked'],
    ['the token was revoked by itself', () => revokeLeaf(SESSION, 'jti_leaf', END), 'node_revoked'],
  ])('is refused, and counts nothing, where %s', (_what, change, reason) => {
    expect(perform(fields, change())).toBeUndefined()
    const before = new Map(fields)
    expect(call([root, below])).toBe(reason)
    expect(fields).toEqual(before)
  })

  test('is refused when the session is over', () => {
    expect(call([root, below], { now: END })).toBe('session_expired')
  })
})
