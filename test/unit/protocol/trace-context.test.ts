import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatTraceparent,
  isKeptBySender,
  parseTraceparent,
  plainTracestate,
} from '../../../src/protocol/trace-context.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

test('the example of the recommendation is read (W3C Trace Context §3.2)', () => {
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, flags: '01' })
})

test('what a later version says before its own members is read, and of ours nothing may follow', () => {
  const read = { traceId: TRACE, spanId: SPAN, flags: '00' }
  expect(parseTraceparent(`cc-${TRACE}-${SPAN}-00-what-the-future-will-be-like`)).toEqual(read)
  expect(parseTraceparent(`cc-${TRACE}-${SPAN}-00`)).toEqual(read)
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-00-more`)).toBeUndefined()
  expect(parseTraceparent(`cc-${TRACE}-${SPAN}-00.more`)).toBeUndefined()
})

test.each([
  undefined,
  '',
  `ff-${TRACE}-${SPAN}-01`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}`,
  ` 00-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01\n`,
  `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  `0-${TRACE}-${SPAN}-01`,
])('%j is as if nothing had been sent', (text) => {
  expect(parseTraceparent(text)).toBeUndefined()
})

test('whatever else is sent is nothing, or ids of hexadecimal digits', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 100 }), (text) => {
      const read = parseTraceparent(text)
      if (read !== undefined) expect(`${read.traceId}${read.spanId}${read.flags}`).toMatch(/^[0-9a-f]{50}$/)
    }),
  )
})

test('what is read is written the same, and its lowest bit says whether its sender keeps the trace', () => {
  const headers = ['01', '00', '03', 'fe'].map((flags) => `00-${TRACE}-${SPAN}-${flags}`)
  const read = headers.flatMap((header) => parseTraceparent(header) ?? [])
  expect(read.map(formatTraceparent)).toEqual(headers)
  expect(read.map(isKeptBySender)).toEqual([true, false, true, false])
})

test.each([
  'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE',
  ' rojo=1 ,\tfw529a3039@dt=FfffffffffFF ,, a_b-c*d/e=! ~',
  `a=${'x'.repeat(256)}`,
])('§3.3 a list of what tracing systems say is passed on as it came: %j', (text) => {
  expect(plainTracestate(text)).toBe(text)
})

test.each([
  undefined,
  '',
  ' ,, ',
  'rojo',
  '=1',
  'rojo=',
  'ROJO=1',
  'rojo=a=b',
  'rojo=é',
  'rojo=1\r\nx-evil: 1',
  'rojo=1,rojo=2',
  '@dt=1',
  `a=${'x'.repeat(257)}`,
  `${'k'.repeat(257)}=1`,
  Array.from({ length: 33 }, (_, n) => `k${n}=1`).join(),
  Array.from({ length: 4 }, (_, n) => `k${n}=${'x'.repeat(200)}`).join(),
])('§3.3.1 %j is as if nothing had been sent', (text) => {
  expect(plainTracestate(text)).toBeUndefined()
})
