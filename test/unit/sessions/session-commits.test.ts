import { describe, expect, test } from 'vitest'
import type { NodeId } from '../../../src/kernel/ids.ts'
import { NODES_PER_SESSION_MAX, TOKEN_REVOCATIONS_PER_SESSION_MAX } from '../../../src/kernel/store-limits.ts'
import { SESSION_STATES } from '../../../src/model/session.ts'
import { decodeNode, decodeOpened } from '../../../src/sessions/record-text.ts'
import {
  acceptDelegation,
  enterState,
  issueLeaf,
  offerDelegation,
  openSession,
  type ReadSession,
  revokeLeaf,
  revokeNodes,
} from '../../../src/sessions/session-commits.ts'
import { CHILD, child, END, GRANDCHILD, grandchild, NOW, nodeFacts, ROOT, SESSION, sessionFacts } from './fixtures.ts'
import { type Fields, perform } from './interpreter.ts'

const facts = sessionFacts()
/** As the session was when it was read. */
let read: ReadSession = { facts, state: 'active' }
const leaf = (path: readonly NodeId[] = [ROOT], now = NOW) => issueLeaf(read, path, now)
const offer = (node = child(), path: readonly NodeId[] = [ROOT], now = NOW) => offerDelegation(read, path, node, now)
const accept = (node = child(), path: readonly NodeId[] = [ROOT], options: { withLeaf?: boolean; now?: number } = {}) =>
  acceptDelegation(read, path, node, { withLeaf: false, now: NOW, ...options })

function opened(withLeaf = false): Fields {
  const fields: Fields = new Map()
  expect(perform(fields, openSession(facts, nodeFacts(), withLeaf))).toBeUndefined()
  return fields
}

/** Root, child, grandchild: all accepted. */
function grown(): Fields {
  const fields = opened()
  for (const [node, path] of [
    [child(), [ROOT]],
    [grandchild(), [ROOT, CHILD]],
  ] as const) {
    expect(perform(fields, offer(node, path))).toBeUndefined()
    expect(perform(fields, accept(node, path))).toBeUndefined()
  }
  return fields
}

describe('opening', () => {
  test('writes the state, the end, the facts and the root, and counts one node', () => {
    const fields = opened()
    expect([...fields.keys()].sort()).toEqual(['facts', `n:${ROOT}`, 'nodes', 'notAfter', 'signedInAt', 'state'])
    expect(fields.get('state')).toBe('active')
    expect(fields.get('notAfter')).toBe(String(END))
    expect(fields.get('nodes')).toBe('1')
    expect(fields.get('signedInAt')).toBe(String(facts.evidence?.signedInAt))
    const texts = { facts: fields.get('facts') ?? '', root: fields.get(`n:${ROOT}`) ?? '' }
    expect(decodeOpened({ session: SESSION, root: ROOT }, texts)).toEqual({ facts, root: nodeFacts() })
  })

  test('of autonomous work has nobody’s sign-in', () => {
    const fields: Fields = new Map()
    perform(fields, openSession(sessionFacts({ evidence: undefined }), nodeFacts(), false))
    expect(fields.has('signedInAt')).toBe(false)
  })

  test('counts the leaf of the root where an access token is handed out at once', () => {
    expect(opened(true).get(`l:${ROOT}`)).toBe('1')
  })

  test('never writes over a session that is there, whatever became of it', () => {
    for (const state of SESSION_STATES) {
      const fields = opened()
      fields.set('state', state)
      const before = new Map(fields)
      expect(perform(fields, openSession(facts, nodeFacts({ purpose: 'another' }), true))).toBe('session_not_issuing')
      expect(fields).toEqual(before)
    }
  })

  test('the record lives as long as the session', () => {
    for (const change of [
      openSession(facts, nodeFacts(), false),
      leaf(),
      offer(),
      accept(),
      enterState(SESSION, 'closed', END),
      revokeNodes(SESSION, [ROOT], END),
    ]) {
      expect(change).toMatchObject({ session: SESSION, notAfter: END })
    }
  })
})

describe('issuing a leaf', () => {
  test('counts at the last node of the path, and nothing else', () => {
    const fields = grown()
    const before = new Map(fields)
    expect(perform(fields, leaf([ROOT, CHILD]))).toBeUndefined()
    expect(perform(fields, leaf([ROOT, CHILD]))).toBeUndefined()
    expect(fields).toEqual(new Map([...before, [`l:${CHILD}`, '2']]))
  })

  test('a path without nodes is a fault', () => {
    expect(() => leaf([])).toThrow('at least one node')
  })
})

/** Every change that hands something out, from the grandchild's place in the tree. */
const ISSUING = {
  leaf: (now?: number) => leaf([ROOT, CHILD, GRANDCHILD], now),
  offer: (now?: number) => offer(nodeFacts({ id: 'jti_next' as NodeId }), [ROOT, CHILD, GRANDCHILD], now),
  accept: (now = NOW) => accept(nodeFacts({ id: 'jti_pending' as NodeId }), [ROOT, CHILD, GRANDCHILD], { now }),
} as const

function withPending(): Fields {
  const fields = grown()
  expect(perform(fields, offer(nodeFacts({ id: 'jti_pending' as NodeId }), [ROOT, CHILD, GRANDCHILD]))).toBeUndefined()
  return fields
}

describe.each(Object.entries(ISSUING))('what every issuance re-checks in its own transaction: %s', (_name, change) => {
  function refusedAs(reason: string, spoil: (fields: Fields) => void, now = NOW): void {
    const fields = withPending()
    spoil(fields)
    const before = new Map(fields)
    expect(perform(fields, change(now))).toBe(reason)
    expect(fields).toEqual(before)
  }

  test('it is possible in a live session', () => {
    expect(perform(withPending(), change())).toBeUndefined()
  })

  test('only active and contracted issue; an absent or unknown state does not', () => {
    for (const state of ['halted', 'closed', 'revoked', 'expired', 'resting', '']) {
      refusedAs('session_not_issuing', (fields) => fields.set('state', state))
    }
    refusedAs('session_not_issuing', (fields) => fields.delete('state'))
  })

  test('what was decided for a whole session is not written into one that was contracted since; the other way it is', () => {
    refusedAs('session_not_issuing', (fields) => fields.set('state', 'contracted'))
    read = { facts, state: 'contracted' }
    try {
      for (const state of ['contracted', 'active']) {
        const fields = withPending()
        fields.set('state', state)
        expect(perform(fields, change())).toBeUndefined()
      }
      refusedAs('session_not_issuing', (fields) => fields.set('state', 'halted'))
    } finally {
      read = { facts, state: 'active' }
    }
  })

  test('the end is exclusive: at notAfter nothing is issued, a second before it is', () => {
    refusedAs('session_expired', () => undefined, END)
    refusedAs('session_expired', () => undefined, END + 1)
    refusedAs('session_expired', (fields) => fields.delete('notAfter'))
    expect(perform(withPending(), change(END - 1))).toBeUndefined()
  })

  test('a revocation anywhere above it, or of it, refuses', () => {
    for (const node of [ROOT, CHILD, GRANDCHILD]) {
      refusedAs('node_revoked', (fields) => fields.set(`x:${node}`, 'revoked'))
    }
  })

  test('every node of the path must hold authority: a delegation nobody accepted does not', () => {
    for (const node of [ROOT, CHILD, GRANDCHILD]) {
      refusedAs('node_revoked', (fields) => fields.delete(`n:${node}`))
    }
  })

  test('a revoked sibling changes nothing', () => {
    const fields = withPending()
    fields.set('x:jti_sibling', 'revoked')
    expect(perform(fields, change())).toBeUndefined()
  })
})

describe('delegating', () => {
  test('writes what may be accepted, not a node that holds authority', () => {
    const fields = opened()
    expect(perform(fields, offer())).toBeUndefined()
    expect(decodeNode(fields.get(`d:${CHILD}`) ?? '', CHILD, facts.intentSalt)).toEqual(child())
    expect(fields.has(`n:${CHILD}`)).toBe(false)
    expect(fields.get('nodes')).toBe('2')
  })

  test('one delegation id is offered once', () => {
    const fields = opened()
    perform(fields, offer())
    expect(perform(fields, offer())).toBe('delegation_consumed')
  })

  test('a session grows to its bound of nodes and no further', () => {
    const fields = opened()
    fields.set('nodes', String(NODES_PER_SESSION_MAX - 1))
    expect(perform(fields, offer())).toBeUndefined()
    expect(fields.get('nodes')).toBe(String(NODES_PER_SESSION_MAX))
    expect(perform(fields, offer(child({ id: 'jti_other' as NodeId })))).toBe('nodes_per_session_exceeded')
  })
})

describe('accepting', () => {
  test('writes the node of the same id, and leaves the count of nodes alone', () => {
    const fields = opened()
    perform(fields, offer())
    const accepted = child({ agentVersion: '7' })
    expect(perform(fields, accept(accepted))).toBeUndefined()
    expect(decodeNode(fields.get(`n:${CHILD}`) ?? '', CHILD, facts.intentSalt)).toEqual(accepted)
    expect(fields.get('nodes')).toBe('2')
    expect(fields.has(`l:${CHILD}`)).toBe(false)
  })

  test('counts its leaf where an access token is wanted at once', () => {
    const fields = opened()
    perform(fields, offer())
    perform(fields, accept(child(), [ROOT], { withLeaf: true }))
    expect(fields.get(`l:${CHILD}`)).toBe('1')
  })

  test('succeeds exactly once', () => {
    const fields = opened()
    perform(fields, offer())
    expect(perform(fields, accept())).toBeUndefined()
    expect(perform(fields, accept(child({ purpose: 'again' })))).toBe('delegation_consumed')
    expect(decodeNode(fields.get(`n:${CHILD}`) ?? '', CHILD, facts.intentSalt).purpose).toBe('Find the figures')
  })

  test('having been accepted before is said even where the session has ended since', () => {
    const fields = opened()
    perform(fields, offer())
    perform(fields, accept())
    fields.set('state', 'revoked')
    expect(perform(fields, accept())).toBe('delegation_consumed')
  })

  test('what was never offered cannot be accepted', () => {
    expect(perform(opened(), accept())).toBe('node_revoked')
  })

  test('what was revoked before it was accepted stays dead', () => {
    const fields = opened()
    perform(fields, offer())
    perform(fields, revokeNodes(SESSION, [CHILD], END))
    expect(perform(fields, accept())).toBe('node_revoked')
    expect(fields.has(`n:${CHILD}`)).toBe(false)
  })
})

describe('ending', () => {
  test('each state is entered exactly from where the state machine allows, and no end state is left', () => {
    const allowed = {
      active: ['contracted', 'halted'],
      contracted: ['active', 'halted'],
      halted: ['active', 'contracted'],
      closed: ['active', 'contracted', 'halted'],
      revoked: ['active', 'contracted', 'halted'],
      expired: ['active', 'contracted', 'halted'],
    } as const
    for (const to of SESSION_STATES) {
      for (const from of SESSION_STATES) {
        const fields: Fields = new Map([['state', from]])
        const refused = perform(fields, enterState(SESSION, to, END))
        const isAllowed = (allowed[to] as readonly string[]).includes(from)
        expect(refused, `${from} to ${to}`).toBe(isAllowed ? undefined : 'session_not_issuing')
        expect(fields.get('state')).toBe(isAllowed ? to : from)
      }
    }
  })

  test('an absent session is not brought to life by ending it', () => {
    const fields: Fields = new Map()
    expect(perform(fields, enterState(SESSION, 'revoked', END))).toBe('session_not_issuing')
    expect(perform(fields, revokeNodes(SESSION, [ROOT], END))).toBe('session_not_issuing')
    expect(perform(fields, revokeLeaf(SESSION, 'jti_access', END))).toBe('session_not_issuing')
    expect(fields.size).toBe(0)
  })

  test('revoking one token marks it once, counts it, and leaves its node alone', () => {
    const fields = grown()
    const before = new Map(fields)
    expect(perform(fields, revokeLeaf(SESSION, 'jti_access', END))).toBeUndefined()
    expect(fields).toEqual(new Map([...before, ['x:jti_access', 'revoked'], ['revocations', '1']]))
    expect(perform(fields, revokeLeaf(SESSION, 'jti_access', END))).toBe('node_revoked')
    expect(fields.get('revocations')).toBe('1')
  })

  test('single tokens are marked up to a bound: a record cannot be filled by revoking', () => {
    const fields = grown()
    fields.set('revocations', String(TOKEN_REVOCATIONS_PER_SESSION_MAX - 1))
    expect(perform(fields, revokeLeaf(SESSION, 'jti_last', END))).toBeUndefined()
    expect(perform(fields, revokeLeaf(SESSION, 'jti_more', END))).toBe('nodes_per_session_exceeded')
    expect(fields.has('x:jti_more')).toBe(false)
  })

  test('revoking marks every id, in whatever state the session is', () => {
    for (const state of SESSION_STATES) {
      const fields: Fields = new Map([['state', state]])
      expect(perform(fields, revokeNodes(SESSION, [CHILD, 'jti_access'], END))).toBeUndefined()
      expect(fields.has(`x:${CHILD}`) && fields.has('x:jti_access')).toBe(true)
      expect(fields.get('state')).toBe(state)
    }
  })
})
