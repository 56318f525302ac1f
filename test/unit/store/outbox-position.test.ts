/** Where records lie in an outbox in Redis, and how one that was lost is known again. */
import { expect, test } from 'vitest'
import { nameAgain, originOf, placeOf, positionOf } from '../../../src/store/outbox-position.ts'

test('a position is the id and the name, and sorts as the id does', () => {
  const position = positionOf({ id: '1700000000000-12', name: 'broker.a' })
  expect(placeOf(position)).toEqual({ id: '1700000000000-12', name: 'broker.a' })
  expect(position < positionOf({ id: '1700000000000-100', name: 'broker.a' })).toBe(true)
})

test('however often a record is written again, it is known by where it was acknowledged first', () => {
  const first = positionOf({ id: '1700000000000-0', name: 'one.1' })
  const again = positionOf({ id: '1700000000500-0', name: nameAgain('two.1', first) })
  const oncemore = positionOf({ id: '1700000000900-3', name: nameAgain('two.2', again) })
  expect([first, again, oncemore].map(originOf)).toEqual([first, first, first])
  expect(placeOf(oncemore)).toEqual({ id: '1700000000900-3', name: `two.2~${first}` })
  expect(originOf('0000000000000007')).toBe('0000000000000007')
})
