import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { GrowingRows } from '../../../../src/audit/log/growing-rows.ts'

test('rows lie side by side in their order, bundle after bundle, small ones and large ones', () => {
  const rows = new GrowingRows()
  for (const sizes of [[1, 0, 5_000], [], [3], [2_000_000, 7], [100, 200, 300]]) {
    const added = sizes.map((size) => randomBytes(size))
    const ends: number[] = []
    for (const row of added) {
      rows.add(row)
      ends.push(rows.length)
    }
    expect([rows.count, rows.length, rows.all.equals(Buffer.concat(added))]).toEqual([
      sizes.length,
      sizes.reduce((sum, size) => sum + size, 0),
      true,
    ])
    for (const [n, end] of ends.entries()) expect(rows.from(end).equals(Buffer.concat(added.slice(n + 1)))).toBe(true)
    rows.clear()
    expect([rows.count, rows.length, rows.all.length]).toEqual([0, 0, 0])
  }
})

test('a row that is written where it lies takes the room that it took, not what it was given', () => {
  const rows = new GrowingRows()
  const written = ['one', 'é'.repeat(3_000), '', 'last'].map((text) => {
    const row = rows.addWritten(3 * text.length, (bytes, at) => at + bytes.write(text, at))
    expect(row.toString()).toBe(text)
    return Buffer.from(row)
  })
  expect([rows.count, rows.all.equals(Buffer.concat(written))]).toEqual([4, true])
})
