import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  columnRows,
  columnsOf,
  fingerprint,
  GrowingColumns,
  offsetsIn,
  ROW_BYTES,
} from '../../../../src/audit/log/columns.ts'
import { sha256 } from '../../../../src/kernel/digest.ts'
import type { AuditRecord } from '../../../../src/model/audit-record.ts'

const RECORD: AuditRecord = {
  id: 'dec_1',
  at: '2026-11-22T03:00:00.000Z',
  event: 'call.outcome',
  outcome: 'granted',
  by: 'service:warehouse-server',
  by_class: 'service',
}
const valuesOf = (more: Partial<AuditRecord>) => Object.fromEntries(columnsOf({ ...RECORD, ...more }))

describe('a record is found by', () => {
  test('its id, who asked, what it was and how it ended; by nothing that it does not have', () => {
    expect(valuesOf({})).toEqual({
      id: ['dec_1'],
      by: ['service:warehouse-server'],
      class: ['service'],
      service: ['warehouse-server'],
      event: ['call.outcome'],
      outcome: ['granted'],
    })
  })

  test('its agent, whether it has asked or was the means, once', () => {
    expect(valuesOf({ agent: { id: 'scribe' } })['agent']).toEqual(['scribe'])
    expect(valuesOf({ by: 'agent:scribe', agent: { id: 'scribe' } })['agent']).toEqual(['scribe'])
    expect(valuesOf({ by: 'agent:scribe' })['agent']).toEqual(['scribe'])
  })

  test('its user, whether they have asked or it was for them; never by an agent that worked for itself', () => {
    expect(valuesOf({ on_behalf_of: 'user:corp:alice' })['user']).toEqual(['user:corp:alice'])
    expect(valuesOf({ by: 'user:corp:bob', on_behalf_of: 'user:corp:bob' })['user']).toEqual(['user:corp:bob'])
    expect(valuesOf({ on_behalf_of: 'agent:scribe' })['user']).toBeUndefined()
  })

  test('its server by URL, id and name; its user by e-mail address, too; its tool, its service and its piece of work', () => {
    const found = valuesOf({
      resource: 'https://warehouse.example/mcp',
      server: { id: 'warehouse', name: 'Warehouse' },
      user: { id: 'user:corp:alice', email: 'alice@corp.example' },
      on_behalf_of: 'user:corp:alice',
      tool: 'query',
      service: 'warehouse-client',
      txn: 'txn_1',
    })
    expect(found).toMatchObject({
      resource: ['https://warehouse.example/mcp', 'warehouse', 'Warehouse'],
      user: ['user:corp:alice', 'alice@corp.example'],
      tool: ['query'],
      service: ['warehouse-client', 'warehouse-server'],
      txn: ['txn_1'],
    })
  })

  test('every reason that it counts refusals of strangers by', () => {
    const strangers = [
      ['client_unknown', '10.0.0.7', 12],
      ['body_too_large', '10.0.0.7', 1],
      ['client_unknown', '10.0.0.8', 1],
    ] as const
    expect(valuesOf({ strangers })['reason']).toEqual(['client_unknown', 'body_too_large'])
  })

  test('how its call ended, beside whether that was taken', () => {
    expect(valuesOf({ call: { attempt: 'a', ended: 'failure' } })['outcome']).toEqual(['granted', 'failure'])
  })

  test('whether the policy was asked, and whether a draft would have said otherwise', () => {
    const shadow = { policy: 'p', outcome: 'deny', turn: 'refused' } as const
    expect(valuesOf({ question: 'digest' })['trait']).toEqual(['decision'])
    expect(valuesOf({ question: 'digest', shadow })['trait']).toEqual(['decision', 'shadow_differs'])
  })
})

describe('a column', () => {
  test('a fingerprint is the first four bytes of the value’s SHA-256', () => {
    const digest = Buffer.from(sha256('scribe'), 'base64url')
    expect(fingerprint('scribe')).toBe(digest.readUInt32BE(0))
  })

  test('gives the records of a value and of any of several, ascending and each once, whatever else is in it', () => {
    const value = fc.constantFrom('a', 'b', 'c', 'd', 'é')
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(value, { maxLength: 3 }), { maxLength: 200 }),
        fc.uniqueArray(value, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 0, max: ROW_BYTES - 1 }),
        (records, wanted, torn) => {
          const rows = Buffer.concat([...records.map(columnRows), Buffer.alloc(torn)])
          const expected = records.flatMap((values, at) => (values.some((one) => wanted.includes(one)) ? [at] : []))
          expect(offsetsIn(rows, new Set(wanted.map(fingerprint)))).toEqual(expected)
        },
      ),
    )
  })

  test('has room for the last offset of a chunk', () => {
    expect(offsetsIn(columnRows(['x'], 4095), new Set([fingerprint('x')]))).toEqual([4095])
  })
})

test('what a batch adds to the columns is what each of its records adds, batch after batch', () => {
  const id = fc.constantFrom('a', 'b', 'c', 'é')
  const tool = fc.oneof(
    fc.constant({}),
    id.map((name) => ({ tool: name })),
  )
  const record = fc
    .tuple(id, id, tool)
    .map(([asked, agent, more]): AuditRecord => ({ ...RECORD, by: `agent:${asked}`, agent: { id: agent }, ...more }))
  const columns = new GrowingColumns()
  fc.assert(
    fc.property(fc.array(record, { maxLength: 20 }), fc.nat({ max: 4_000 }), (records, first) => {
      columns.clear()
      const expected = new Map<string, Buffer>()
      for (const [n, one] of records.entries()) {
        columns.add(one, first + n)
        for (const [dimension, values] of columnsOf(one)) {
          const before = expected.get(dimension) ?? Buffer.alloc(0)
          expected.set(dimension, Buffer.concat([before, columnRows(values, first + n)]))
        }
      }
      expect(new Map(columns.grown())).toEqual(expected)
    }),
  )
})
