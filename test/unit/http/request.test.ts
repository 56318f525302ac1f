import { type Context, Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { readFacts, readFormText, readJsonText, readPresented } from '../../../src/http/request.ts'
import { BODY_BYTES_MAX, NAME_CHARS_MAX, TOKEN_CHARS_MAX } from '../../../src/kernel/limits.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { Secret } from '../../../src/kernel/secret.ts'

/** What a reader makes of a request: its value, or the reason of its refusal. */
async function read<T>(reader: (context: Context) => T | Promise<T>, init: RequestInit): Promise<T | string> {
  const app = new Hono()
  let result: T | string | undefined
  app.all('/', async (context) => {
    try {
      result = await reader(context)
    } catch (error) {
      if (!(error instanceof Rejection)) throw error
      result = error.reason
    }
    return context.body(null)
  })
  await app.request('/', { method: 'POST', ...init })
  return result as T | string
}

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
const bytes = (text: string) => new TextEncoder().encode(text)

function streamed(chunks: Iterable<Uint8Array>): RequestInit {
  const iterator = chunks[Symbol.iterator]()
  const body = new ReadableStream({
    pull(controller) {
      const { done, value } = iterator.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
  })
  return { body, duplex: 'half', headers: FORM } as RequestInit
}

describe('reading a body', () => {
  it('gives the text of a form or of JSON, each under its own media type', async () => {
    expect(await read(readFormText, { headers: FORM, body: 'a=1&b=é' })).toBe('a=1&b=é')
    expect(await read(readFormText, { headers: FORM })).toBe('')
    const jsonType = { 'Content-Type': 'application/json; charset=utf-8' }
    expect(await read(readJsonText, { headers: jsonType, body: '{}' })).toBe('{}')
    expect(await read(readJsonText, { headers: FORM, body: '{}' })).toBe('media_type_unsupported')
    expect(await read(readFormText, { headers: jsonType, body: 'a=1' })).toBe('media_type_unsupported')
    expect(await read(readFormText, { body: bytes('a=1') })).toBe('media_type_unsupported')
  })

  it('counts bytes, not characters, and stops at the first that is too many', async () => {
    const twoBytes = 'é'.repeat(BODY_BYTES_MAX / 2)
    expect(await read(readFormText, { headers: FORM, body: twoBytes })).toBe(twoBytes)
    expect(await read(readFormText, { headers: FORM, body: `${twoBytes}a` })).toBe('body_too_large')
    let made = 0
    function* endless() {
      for (; made < 1_000; made += 1) yield bytes('a'.repeat(4_096))
    }
    expect(await read(readFormText, streamed(endless()))).toBe('body_too_large')
    expect(made).toBeLessThan(20)
  })

  it('does not care how a body is cut into chunks, even within a character', async () => {
    const whole = bytes('name=é€😀')
    const single = Array.from(whole, (byte) => new Uint8Array([byte]))
    expect(await read(readFormText, streamed(single))).toBe('name=é€😀')
  })

  it('believes a declared length only where it refuses', async () => {
    const declared = (length: string) => ({ headers: { ...FORM, 'Content-Length': length }, body: 'a=1' })
    expect(await read(readFormText, declared(String(BODY_BYTES_MAX + 1)))).toBe('body_too_large')
    for (const length of ['0', '1', '-5', 'x', '']) expect(await read(readFormText, declared(length))).toBe('a=1')
  })

  it('refuses compressed bodies and bytes that are not UTF-8', async () => {
    const gzip = { headers: { ...FORM, 'Content-Encoding': 'gzip' }, body: 'a=1' }
    expect(await read(readFormText, gzip)).toBe('media_type_unsupported')
    for (const broken of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
      expect(await read(readFormText, { headers: FORM, body: new Uint8Array(broken) })).toBe('body_malformed')
    }
  })
})

describe('reading a bearer token', () => {
  const bearer = (authorization: string | undefined) =>
    read(
      (context) =>
        readPresented(
          context,
          readFacts(context, () => 'nowhere'),
          'https://errand.example',
        )?.token,
      { headers: authorization === undefined ? {} : { Authorization: authorization } },
    )

  it('takes one compact JWS from the header, in any case of the scheme', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      const token = await bearer(`${scheme} aa.bb.cc`)
      expect(token).toBeInstanceOf(Secret)
      expect((token as Secret).reveal()).toBe('aa.bb.cc')
    }
    expect(await bearer(undefined)).toBeUndefined()
  })

  it.each([
    'Bearer',
    'Bearer ',
    'Bearer  aa.bb.cc',
    'Bearer aa.bb.cc dd.ee.ff',
    'Bearer aa.bb.cc, Bearer dd.ee.ff',
    'Basic aa.bb.cc',
    'aa.bb.cc',
    'Bearer aa.bb',
    'Bearer aa.bb.cc.dd.ee',
    'Bearer "aa.bb.cc"',
    'Bearer opaque',
    `Bearer ${'a'.repeat(TOKEN_CHARS_MAX)}.b.c`,
  ])('refuses %.40s', async (authorization) => {
    expect(await bearer(authorization)).toBe('bearer_invalid')
  })
})

describe('the facts of a request', () => {
  const facts = (headers: Record<string, string>) =>
    read((context) => readFacts(context, (peer, forwarded) => `${peer}|${forwarded}`), { headers })

  it('asks the configured rule who the source is, and never decides by a header itself', async () => {
    expect(await facts({ 'X-Forwarded-For': '1.2.3.4' })).toMatchObject({ source: 'unknown|1.2.3.4' })
  })

  it('takes a correlation id only where it is harmless to log', async () => {
    const correlation = async (id: string) =>
      ((await facts({ 'X-Request-Id': id })) as { correlation: unknown }).correlation
    expect(await correlation('req-1:a.B_2')).toBe('req-1:a.B_2')
    for (const bad of ['', 'a b', 'a"b', '{}', 'x'.repeat(129)]) expect(await correlation(bad)).toBeUndefined()
  })

  it('knows the scheme of an Authorization header, and what follows Basic as something that prints nowhere', async () => {
    const { basicCredentials, ...known } = (await facts({ Authorization: 'BASIC c2VjcmV0' })) as {
      basicCredentials: unknown
    }
    expect(known).toEqual({ source: 'unknown|undefined', authorizationScheme: 'basic' })
    expect([String(basicCredentials), JSON.stringify({ basicCredentials })].join()).toBe(
      '[secret],{"basicCredentials":"[secret]"}',
    )
    expect((basicCredentials as Secret).reveal()).toBe('c2VjcmV0')
    expect(await facts({ Authorization: 'Bearer c2VjcmV0' })).toMatchObject({ basicCredentials: undefined })
    const long = (await facts({ Authorization: 'x'.repeat(5_000) })) as { authorizationScheme: string }
    expect(long.authorizationScheme).toHaveLength(NAME_CHARS_MAX)
  })
})
