import { describe, expect, test } from 'vitest'
import type { NodeId, PrincipalId } from '../../../src/kernel/ids.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { intentHash } from '../../../src/model/intent.ts'
import { atLength } from '../../../src/sessions/phrases.ts'
import { decodeNode, decodeOpened, encodeFacts, encodeNode } from '../../../src/sessions/record-text.ts'
import { chainSubjects, FIELD, subtree, viewSession } from '../../../src/sessions/session-record.ts'
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
  SESSION,
  sessionFacts,
  WAREHOUSE,
} from './fixtures.ts'

const SIBLING = 'jti_sibling' as NodeId
const SALT = sessionFacts().intentSalt

/** root ─ child ─ grandchild, and a sibling of the child that nobody accepted. Written youngest first. */
function record(more: Readonly<Record<string, string>> = {}): Map<string, string> {
  return new Map([
    [FIELD.node(GRANDCHILD), encodeNode(grandchild(), SALT)],
    [FIELD.delegation(GRANDCHILD), encodeNode(grandchild({ agentVersion: '' }), SALT)],
    [FIELD.delegation(SIBLING), encodeNode(child({ id: SIBLING }), SALT)],
    [FIELD.node(CHILD), encodeNode(child(), SALT)],
    [FIELD.delegation(CHILD), encodeNode(child({ agentVersion: '' }), SALT)],
    [FIELD.node(ROOT), encodeNode(nodeFacts(), SALT)],
    [FIELD.state, 'active'],
    [FIELD.notAfter, String(END)],
    [FIELD.facts, encodeFacts(sessionFacts(), nodeFacts())],
    [FIELD.nodes, '4'],
    [FIELD.leaves(CHILD), '3'],
    ...Object.entries(more),
  ])
}

function viewOf(fields: ReadonlyMap<string, string>, now = NOW) {
  const view = viewSession(SESSION, fields, now)
  if (view === undefined) throw new Error('no view')
  return view
}

const ids = (nodes: readonly { facts: { id: string } }[]) => nodes.map((node) => node.facts.id)

describe('what is stored', () => {
  const opened = (facts = sessionFacts(), root = nodeFacts()) =>
    decodeOpened(
      { session: facts.id, root: root.id },
      { facts: encodeFacts(facts, root), root: encodeNode(root, facts.intentSalt) },
    )

  test('facts and nodes survive the round trip with their authority', () => {
    expect(opened()).toEqual({ facts: sessionFacts(), root: nodeFacts() })
    const constrained = child({ authority: authority({ table: { enum: ['a', 'b'] }, limit: { maximum: 5 } }) })
    expect(decodeNode(encodeNode(constrained, SALT), CHILD, SALT)).toEqual(constrained)
  })

  test('a root without parent, actor or reference stays one', () => {
    const node = nodeFacts({ act: undefined, origin: { type: 'schedule', assertedBy: 'agent:orchestrator' } })
    expect(opened(sessionFacts({ evidence: undefined }), node).root).toEqual(node)
  })

  test('what facts and first node share is written once, and an intent hash that follows from the purpose not at all', () => {
    const shared = nodeFacts()
    const facts = sessionFacts({ ceiling: shared.authority })
    expect(opened(facts, shared)).toEqual({ facts, root: shared })
    expect(encodeFacts(facts, shared)).not.toContain('warehouse')
    const usual = nodeFacts({ intentHash: intentHash(SALT, nodeFacts().purpose) })
    expect(encodeNode(usual, SALT).length).toBeLessThan(encodeNode(nodeFacts(), SALT).length)
    expect(opened(facts, usual).root).toEqual(usual)
  })

  test('a session is written with its own first node, and a user under their own name', () => {
    expect(() => encodeFacts(sessionFacts({ rootNode: CHILD }), nodeFacts())).toThrow('its own first node')
    const subject = { ...sessionFacts().subject, principal: 'user:corp:mallory' as PrincipalId }
    expect(() => encodeFacts(sessionFacts({ subject }), nodeFacts())).toThrow('one principal')
  })

  test.each([
    '',
    '{',
    '{}',
    '[]',
    'null',
    JSON.stringify({ ...nodeFacts(), authority: {} }),
  ])('a record that this broker did not write is a fault, never repaired: %s', (text) => {
    expect(() => decodeNode(text, ROOT, SALT)).toThrow(Error)
    expect(() => decodeNode(text, ROOT, SALT)).not.toThrow(Rejection)
    const ids = { session: SESSION, root: ROOT }
    expect(() => decodeOpened(ids, { facts: text, root: encodeNode(nodeFacts(), SALT) })).toThrow(Error)
    const facts = encodeFacts(sessionFacts(), nodeFacts())
    expect(() => decodeOpened(ids, { facts, root: text })).toThrow(Error)
  })

  test('no member of a node may be of another kind, be missing, or be there twice', () => {
    const tuple = JSON.parse(atLength(encodeNode(nodeFacts(), SALT))) as unknown[]
    const read = (members: readonly unknown[]) => decodeNode(JSON.stringify(members), ROOT, SALT)
    expect(read(tuple)).toEqual(nodeFacts())
    for (const [place] of tuple.entries()) {
      for (const other of [{}, true, [], [[]], 1.5]) {
        const damaged = () => read(tuple.with(place, other))
        expect(damaged, `${place}: ${JSON.stringify(other)}`).toThrow()
      }
    }
    expect(() => read(tuple.slice(0, 9))).toThrow('stored session is malformed')
    expect(() => read([...tuple, 'more'])).toThrow('stored session is malformed')
    const badScope = encodeNode(
      nodeFacts({
        authority: {
          ...authority(),
          resources: new Map([[WAREHOUSE, { scopes: ['*bad scope*'], tools: new Map(), limits: {} }]]),
        },
      }),
      SALT,
    )
    expect(() => decodeNode(badScope, ROOT, SALT)).toThrow('stored authority is malformed')
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
    expect(viewSession(SESSION, withoutFacts, NOW)).toBeUndefined()
    expect(viewSession(SESSION, record({ state: 'resting' }), NOW)).toBeUndefined()
    expect(viewSession(SESSION, new Map(), NOW)).toBeUndefined()
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

test('what is no tree with one root is no record at all', () => {
  const two = record({ [FIELD.node('nod_other')]: encodeNode(nodeFacts(), SALT) })
  expect(() => viewSession(SESSION, two, NOW)).toThrow('it is not one tree')
  const ring = record({ [FIELD.node(CHILD)]: encodeNode(child({ parent: CHILD }), SALT) })
  expect(() => viewSession(SESSION, ring, NOW)).toThrow('it is not one tree')
  const rootless = record()
  rootless.delete(FIELD.node(ROOT))
  expect(() => viewSession(SESSION, rootless, NOW)).toThrow('it has no first node')
})
