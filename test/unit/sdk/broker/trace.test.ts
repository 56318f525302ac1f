import { describe, expect, test } from 'vitest'
import type { Fetch, FormRequest, JsonRequest } from '../../../../src/sdk/broker/http.ts'
import { tracedDoors } from '../../../../src/sdk/broker/trace.ts'

const TRACE = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`

/** What passed the doors, with `current` as the trace of the moment. */
function passing(current: (() => string | undefined) | undefined) {
  const passed: { json: JsonRequest[]; forms: FormRequest[]; fetched: Headers[] } = { json: [], forms: [], fetched: [] }
  const fetch: Fetch = async (input, init) => {
    passed.fetched.push(new Request(input, init).headers)
    return new Response()
  }
  const doors = tracedDoors({
    ...(current === undefined ? {} : { traceparent: current }),
    door: async (request) => {
      passed.json.push(request)
      return '{}'
    },
    forms: async (request) => {
      passed.forms.push(request)
      return { status: 200, text: '{}', header: () => undefined }
    },
    fetch,
  })
  return { passed, doors }
}

describe('the trace of the moment', () => {
  test('goes to the broker and to servers, beside what was there', async () => {
    const { passed, doors } = passing(() => TRACE)
    await doors.door({ url: 'https://b.example/x' })
    await doors.forms({ url: 'https://b.example/token', form: new URLSearchParams(), headers: { dpop: 'proof' } })
    await doors.fetch('https://s.example/mcp', { headers: { accept: 'text/plain' } })
    await doors.fetch(new Request('https://s.example/mcp', { headers: { 'x-own': '1' } }))
    expect(passed.json[0]?.traceparent).toBe(TRACE)
    expect(passed.forms[0]?.headers).toEqual({ dpop: 'proof', traceparent: TRACE })
    expect([...(passed.fetched[0] ?? [])]).toEqual([
      ['accept', 'text/plain'],
      ['traceparent', TRACE],
    ])
    expect(passed.fetched[1]?.get('x-own')).toBe('1')
    expect(passed.fetched[1]?.get('traceparent')).toBe(TRACE)
  })

  test('does not take the place of the caller’s own', async () => {
    const own = TRACE.replace('a', 'c')
    const { passed, doors } = passing(() => TRACE)
    await doors.fetch('https://s.example/mcp', { headers: { traceparent: own } })
    await doors.door({ url: 'https://b.example/x', traceparent: own })
    expect([passed.fetched[0]?.get('traceparent'), passed.json[0]?.traceparent]).toEqual([own, own])
  })

  test.each([
    undefined,
    () => undefined,
    () => 'not one',
    () => `${TRACE}\r\nx: y`,
  ])('is nothing where there is none', async (current) => {
    const { passed, doors } = passing(current)
    await doors.door({ url: 'https://b.example/x' })
    await doors.forms({ url: 'https://b.example/token', form: new URLSearchParams() })
    await doors.fetch('https://s.example/mcp')
    expect(passed.json[0]).not.toHaveProperty('traceparent')
    expect(passed.forms[0]?.headers ?? {}).not.toHaveProperty('traceparent')
    expect(passed.fetched[0]?.has('traceparent')).toBe(false)
  })
})
