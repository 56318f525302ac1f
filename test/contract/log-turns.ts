/** What a sequencer does with a store, and nothing besides: reads on, appends, trims; and what must hold of it at any moment. */
import { expect } from 'vitest'
import type { Store } from '../../src/store/ports.ts'

interface Head {
  /** Appends so far. */
  readonly turns: number
  /** Records so far. */
  readonly records: number
  readonly cursor?: string
}

const parse = (head: string | undefined): Head =>
  head === undefined ? { turns: 0, records: 0 } : (JSON.parse(head) as Head)

/** One turn; the head it has come to, `undefined`: there was nothing to bring. */
export async function appendNext({ audit, log }: Pick<Store, 'audit' | 'log'>): Promise<string | undefined> {
  const before = await log.head()
  const { turns, records, cursor } = parse(before)
  const [outbox = ''] = audit.outboxes
  const entries = (await audit.pending(new Map(cursor === undefined ? [] : [[outbox, cursor]]), 50)).get(outbox)
  const last = entries?.at(-1)?.position
  if (entries === undefined || last === undefined) return undefined
  const lines = entries.map(({ record }) => `${record}\n`).join('')
  const head = JSON.stringify({ turns: turns + 1, records: records + entries.length, cursor: last })
  const pieces = [
    { name: 'records', add: Buffer.from(lines) },
    { name: 'last', put: Buffer.from(lines) },
    { name: `turn/${turns}`, put: Buffer.from(head) },
    { name: `turn/${turns - 20}`, put: undefined },
  ].filter(({ name }) => !name.includes('-'))
  if (!(await log.append(before, head, pieces))) throw new Error('nobody else appends')
  await audit.trim(outbox, last)
  return head
}

/** Head and pieces are of one append; the records in the log and behind it are all there are, each once. @returns turns */
export async function expectSequenced({ audit, log }: Store): Promise<number> {
  const text = await log.head()
  const { turns, records, cursor } = parse(text)
  const [all, last, turn, gone] = await log.read(
    ['records', 'last', `turn/${turns - 1}`, `turn/${turns - 21}`].map(named),
  )
  const lines = (all?.toString() ?? '').split('\n').slice(0, -1)
  expect(lines).toHaveLength(records)
  expect(turn?.toString()).toBe(text)
  expect(all?.toString().endsWith(last?.toString() ?? '')).toBe(true)
  expect(gone).toBeUndefined()
  const [outbox = ''] = audit.outboxes
  const behind = await audit.pending(new Map(cursor === undefined ? [] : [[outbox, cursor]]), 1_000_000)
  const others = (behind.get(outbox) ?? []).map(({ record }) => record)
  // Each writer has counted its own.
  const next = new Map<string, number>()
  for (const record of [...lines, ...others]) {
    const [writer = '', n] = record.split(' ')
    expect([writer, Number(n)]).toEqual([writer, next.get(writer) ?? 0])
    next.set(writer, Number(n) + 1)
  }
  return turns
}

const named = (name: string) => (name.includes('-') ? 'none' : name)
