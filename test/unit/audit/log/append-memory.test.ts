import { expect, test } from 'vitest'
import { AppendMemory } from '../../../../src/audit/log/append-memory.ts'
import { APPENDS_REMEMBERED_BYTES_MAX, APPENDS_REMEMBERED_MS } from '../../../../src/kernel/log-limits.ts'

test('an append is remembered byte for byte, whatever becomes of the memory it lay in', () => {
  const memory = new AppendMemory()
  const added = Buffer.from('added')
  const put = Buffer.from('put')
  const pieces = [
    { name: 'a', add: added },
    { name: 'b', put },
    { name: 'c', put: undefined },
    { name: 'd', add: Buffer.alloc(0) },
  ]
  memory.add({ before: undefined, after: 'one', pieces }, 0)
  added.fill(0)
  put.fill(0)
  expect(memory.behind(undefined)).toEqual({
    before: undefined,
    after: 'one',
    pieces: [
      { name: 'a', add: Buffer.from('added') },
      { name: 'b', put: Buffer.from('put') },
      { name: 'c', put: undefined },
      { name: 'd', add: Buffer.alloc(0) },
    ],
  })
  expect(memory.behind('one')).toBeUndefined()
})

test('the oldest are forgotten by their bytes and by their age', () => {
  const memory = new AppendMemory()
  const half = Buffer.alloc(APPENDS_REMEMBERED_BYTES_MAX / 2)
  memory.add({ before: undefined, after: '1', pieces: [{ name: 'a', add: half }] }, 0)
  memory.add({ before: '1', after: '2', pieces: [{ name: 'a', add: half }] }, 1)
  expect([memory.behind(undefined)?.after, memory.behind('1')?.after]).toEqual([undefined, '2'])
  memory.add({ before: '2', after: '3', pieces: [] }, APPENDS_REMEMBERED_MS + 2)
  expect([memory.behind('1')?.after, memory.behind('2')?.after]).toEqual([undefined, '3'])
})
