import { describe, expect, test } from 'vitest'
import type { NodeId } from '../../../src/kernel/ids.ts'
import {
  chainSubjects,
  decodeFacts,
  decodeNode,
  encodeFacts,
  encodeNode,
  FIELD,
  subtree,
  viewSession,
} from '../../../src/sessions/session-record.ts'
import {
  actor,
  authority,
  CHILD,
  child,
  END,
  GRANDCHILD,
  grandchild,
  NOW,
  nodeFacts,
  ROOT,
  sessionFacts,
} from './fixtures.ts'

const SIBLING = 'jti_sibling' as NodeId

/** root ─ child ─ grandchild, and a sibling of the child that nobody accepted. Written youngest first. */
function record(more: Readonly<Record<string, string>> = {}): Map<string, string> {
  return new Map([
    [FIELD.node(GRANDCHILD), encodeNode(grandchild())],
    [FIELD.delegation(GRANDCHILD), encodeNode(grandchild({ agentVersion: '' }))],
    [FIELD.delegation(SIBLING), encodeNode(child({ id: SIBLING }))],
    [FIELD.node(CHILD), encodeNode(child())],
    [FIELD.delegation(CHILD), encodeNode(child({ agentVersion: '' }))],
    [FIELD.node(ROOT), encodeNode(nodeFacts())],
    [FIELD.state, 'active'],
    [FIELD.notAfter, String(END)],
    [FIELD.facts, encodeFacts(sessionFacts())],
    [FIELD.nodes, '4'],
    [FIELD.leaves(CHILD), '3'],
    ...Object.entries(more),
  ])
}

function viewOf(fields: ReadonlyMap<string, string>, now = NOW) {
  const view = viewSession(fields, now)
  if (view === undefined) throw new Error('no view')
  return view
}

const ids = (nodes: readonly { facts: { id: string } }[]) => nodes.map((node) => node.facts.id)

describe('what is stored', () => {
  test('facts and nodes survive the round trip with their authority', () => {
    expect(decodeFacts(encodeFacts(sessionFacts()))).toEqual(sessionFacts())
    const constrained = nodeFacts({ authority: authority({ table: { enum: ['a', 'b'] }, limit: { maximum: 5 } }) })
    expect(decodeNode(encodeNode(constrained))).toEqual(constrained)
  })

  test('a root without parent, actor or reference stays one', () => {
    const node = nodeFacts({ act: undefined, origin: { type: 'schedule', assertedBy: 'agent:orchestrator' } })
    const decoded = decodeNode(encodeNode(node))
    expect(decoded.parent).toBeUndefined()
    expect(decoded.act).toBeUndefined()
    expect(decoded.origin).toEqual(node.origin)
  })

  test('a record that this broker did not write is a fault, never repaired', () => {
    expect(() => decodeNode('{')).toThrow()
    expect(() => decodeNode('{}')).toThrow('stored authority is malformed')
    const text = encodeNode(nodeFacts()).replace('"mcp:tools:read"', '"*bad scope*"')
    expect(() => decodeNode(text)).toThrow('stored authority is malformed')
  })

  test('no two kinds of field can share a name', () => {
    const names = [FIELD.node, FIELD.delegation, FIELD.revoked, FIELD.leaves].map((name) => name('same'))
    expect(new Set(names).size).toBe(4)
  })
})

describe('a view', () => {
  test('lists nodes from the root down, whatever the order of the fields', () => {
    expect(ids(viewOf(record()).nodes)).toEqual([ROOT, SIBLING, CHILD, GRANDCHILD])
  })

  test('tells accepted from pending, the accepted facts winning over the offered ones', () => {
    const nodes = viewOf(record()).nodes
    expect(nodes.map((node) => node.accepted)).toEqual([true, false, true, true])
    expect(nodes.find((node) => node.facts.id === CHILD)?.facts.agentVersion).toBe('1')
  })

  test('counts leaves by node, none as 0', () => {
    expect(viewOf(record()).nodes.map((node) => node.leaves)).toEqual([0, 0, 3, 0])
  })

  test('shows what is below a revoked node as revoked, and its siblings as they are', () => {
    const revoked = (field: string) => viewOf(record({ [field]: 'revoked' })).nodes.map((node) => node.revoked)
    expect(revoked(FIELD.revoked(CHILD))).toEqual([false, false, true, true])
    expect(revoked(FIELD.revoked(ROOT))).toEqual([true, true, true, true])
    expect(revoked(FIELD.revoked(GRANDCHILD))).toEqual([false, false, false, true])
    expect(revoked(FIELD.revoked('jti_of_an_access_token'))).toEqual([false, false, false, false])
  })

  test('is expired from notAfter on, exclusively, whatever living state is recorded', () => {
    for (const state of ['active', 'contracted', 'halted']) {
      expect(viewOf(record({ state }), END - 1).state).toBe(state)
      expect(viewOf(record({ state }), END).state).toBe('expired')
    }
  })

  test('an end state stays what it is when the time is up', () => {
    for (const state of ['closed', 'revoked', 'expired']) expect(viewOf(record({ state }), END).state).toBe(state)
  })

  test('there is none without facts, or with a state nobody knows', () => {
    const withoutFacts = record()
    withoutFacts.delete(FIELD.facts)
    expect(viewSession(withoutFacts, NOW)).toBeUndefined()
    expect(viewSession(record({ state: 'resting' }), NOW)).toBeUndefined()
    expect(viewSession(new Map(), NOW)).toBeUndefined()
  })
})

describe('a subtree', () => {
  test('is a node and everything below it', () => {
    const view = viewOf(record())
    expect(ids(subtree(view, ROOT))).toEqual([ROOT, SIBLING, CHILD, GRANDCHILD])
    expect(ids(subtree(view, CHILD))).toEqual([CHILD, GRANDCHILD])
    expect(ids(subtree(view, SIBLING))).toEqual([SIBLING])
  })

  test('of an id that is no node is empty', () => {
    expect(subtree(viewOf(record()), 'jti_of_an_access_token')).toEqual([])
  })
})

test('the chain is listed newest first', () => {
  expect(chainSubjects(actor('scribe', 'researcher', 'orchestrator'))).toEqual([
    'agent:scribe',
    'agent:researcher',
    'agent:orchestrator',
  ])
  expect(chainSubjects(undefined)).toEqual([])
})

test('a node that is kept under another name, or is its own parent, is no record at all', () => {
  const misplaced = record({ [FIELD.node('nod_other')]: encodeNode(nodeFacts()) })
  expect(() => viewSession(misplaced, NOW)).toThrow('stored node is malformed')
  const ring = record({ [FIELD.node(CHILD)]: JSON.stringify({ ...JSON.parse(encodeNode(child())), id: undefined }) })
  expect(() => viewSession(ring, NOW)).toThrow('stored node is malformed')
})
