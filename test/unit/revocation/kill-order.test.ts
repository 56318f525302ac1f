import { describe, expect, test } from 'vitest'
import { NAME_CHARS_MAX } from '../../../src/kernel/limits.ts'
import { assertKnown, killOrder, liftOrder } from '../../../src/revocation/kill-order.ts'
import { registry } from '../flows/fixtures.ts'
import { ALICE, reasonOf } from '../sessions/fixtures.ts'

const ORDERS = [
  { dimension: 'session', session: 'ses_1' },
  { dimension: 'session_access', session: 'ses_1' },
  { dimension: 'node', session: 'ses_1', node: 'nod_1' },
  { dimension: 'agent', agent: 'orchestrator' },
  { dimension: 'user', user: ALICE },
  { dimension: 'user_agent', user: ALICE, agent: 'orchestrator' },
  { dimension: 'agent_version', agent: 'orchestrator', version: '1' },
  { dimension: 'owner', owner: 'alice@corp.example' },
  { dimension: 'issuer', issuer: 'corp' },
  { dimension: 'resource', resource: 'https://warehouse.example/mcp' },
] as const

const accepts = (value: unknown) => killOrder.safeParse(value).success

describe('a kill order', () => {
  test.each(ORDERS)('$dimension with exactly its members', (order) => {
    expect(killOrder.parse(order)).toMatchObject(order)
    for (const member of Object.keys(order)) {
      const { [member]: _left, ...rest } = order as Readonly<Record<string, unknown>>
      expect(accepts(rest), `without ${member}`).toBe(false)
      for (const odd of ['', 7, null, [], {}, 'x'.repeat(4 * NAME_CHARS_MAX + 1)]) {
        expect(accepts({ ...order, [member]: odd }), `${member} ${String(odd).slice(0, 9)}`).toBe(false)
      }
    }
    expect(accepts({ ...order, reason: 'because' })).toBe(false)
    expect(accepts({ ...order, expiresAtMs: 0 })).toBe(false)
  })

  test('blocks only where that was written, and only principals', () => {
    for (const order of ORDERS.slice(3)) {
      expect(killOrder.parse(order)).toMatchObject({ block: false })
      expect(killOrder.parse({ ...order, block: true })).toMatchObject({ block: true })
      for (const odd of ['true', 1, null]) expect(accepts({ ...order, block: odd })).toBe(false)
    }
    for (const order of ORDERS.slice(0, 3)) expect(accepts({ ...order, block: true })).toBe(false)
  })

  test('in a dimension that is not known is none', () => {
    for (const dimension of [
      'key',
      'owner',
      'tool',
      'issuer',
      'issuer_sign_ins',
      'agent_access',
      'Session',
      'everything',
      '',
      undefined,
      ['session'],
    ]) {
      expect(accepts({ dimension, session: 'ses_1', agent: 'orchestrator', user: ALICE })).toBe(false)
    }
    for (const odd of [null, [], 'session', 1]) expect(accepts(odd)).toBe(false)
  })
})

describe('a lift order', () => {
  const lifts = (value: unknown) => liftOrder.safeParse(value).success

  test('names what stands, by kind and id', () => {
    for (const kind of ['agent', 'agent_version', 'user', 'issuer', 'resource', 'evidence', 'pair'])
      expect(lifts({ kind, id: 'x' })).toBe(true)
    expect(lifts({ kind: 'pair', id: 'x'.repeat(4 * NAME_CHARS_MAX) })).toBe(true)
  })

  test('is strict', () => {
    for (const odd of [
      { kind: 'session', id: 'x' },
      { kind: 'agent' },
      { id: 'x' },
      { kind: 'agent', id: '' },
      { kind: 'agent', id: 'x'.repeat(4 * NAME_CHARS_MAX + 1) },
      { kind: 'agent', id: 'x', all: true },
      { kind: ['agent'], id: 'x' },
    ]) {
      expect(lifts(odd), JSON.stringify(odd).slice(0, 60)).toBe(false)
    }
  })
})

describe('who is ordered to be killed', () => {
  test('is somebody the registry can know', () => {
    for (const known of [{ agent: 'orchestrator' }, { agent: 'warehouse-server' }, { user: ALICE }, {}]) {
      expect(() => assertKnown(known, registry)).not.toThrow()
    }
  })

  test('a user of a configured issuer need not be listed: they may have been, when the token was made', () => {
    expect(() => assertKnown({ user: 'user:corp:somebody:with:colons' }, registry)).not.toThrow()
  })

  test('a typing error does not look like a kill', async () => {
    for (const wrong of [
      { agent: 'orchestratr' },
      { agent: 'agent:orchestrator' },
      { user: 'alice' },
      { user: 'corp:alice' },
      { user: 'user:crop:alice' },
      { user: 'user:corp:' },
      { user: 'user:corp' },
      { user: 'agent:corp:alice' },
      { user: ALICE, agent: 'nobody' },
      { user: 'alice', agent: 'orchestrator' },
    ]) {
      expect(await reasonOf(() => assertKnown(wrong, registry)), JSON.stringify(wrong)).toBe('not_found')
    }
  })
})
