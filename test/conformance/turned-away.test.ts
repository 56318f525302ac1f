/**
 * Sources over their limit on a real socket, where they are refused before anything is made of their requests (RFC 6585 §4,
 * DESIGN §5): the answer is the one that the route gives, each is counted once, and what is let through is let through whole.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Listening } from '../../src/http/listener.ts'
import { UNREAD_BODY_MS_MAX } from '../../src/kernel/limits.ts'
import { listenTo, Wire, type WireAnswer } from '../support/raw-http.ts'
import { HandTicks, honest, postFrom } from '../support/sources.ts'
import { startWorld, type World } from '../support/world.ts'

const PER_SOURCE = { perSecond: 0.25, burst: 2 }
const PATHS = ['/token', '/introspect', '/revoke', '/admin/v1/login']

const post = (path: string, body: string, headers: readonly string[] = []) =>
  [
    `POST ${path} HTTP/1.1`,
    'Host: errand.example',
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${body.length}`,
    ...headers,
    '',
    body,
  ].join('\r\n')

/** Answers of one connection from `address`, asked one after the other. */
async function ask(listener: Listening, address: string, requests: readonly string[]): Promise<readonly WireAnswer[]> {
  const wire = await Wire.open(listener.port, address)
  try {
    for (const [index, request] of requests.entries()) {
      wire.send(request)
      await wire.answers(index + 1)
    }
    return (await wire.answers(requests.length)).answers
  } finally {
    wire.close()
  }
}

/** The answer to one request, line by line but for what time it is. */
async function exchange(to: Listening, address: string, request: string): Promise<unknown> {
  const wire = await Wire.open(to.port, address)
  try {
    wire.send(request)
    const { raw } = await wire.answers(1)
    const [head = '', body] = raw.split('\r\n\r\n').slice(-2)
    const [line, ...fields] = head.split('\r\n')
    const said = fields.map((field) => field.replace(/^[^:]*/, (name) => name.toLowerCase()))
    return { line, fields: said.filter((field) => !field.startsWith('date:')).sort(), body }
  } finally {
    wire.close()
  }
}

/** How often each reason has been counted of a source. */
async function countsOf(world: World, source: string): Promise<Readonly<Record<string, number>>> {
  await world.broker.flushAudit()
  const counts: Record<string, number> = {}
  for (const record of await world.audit(500)) {
    for (const [reason, from, count] of record.strangers ?? []) {
      if (from === source) counts[reason] = (counts[reason] ?? 0) + count
    }
  }
  return counts
}

describe('a source over its limit', () => {
  let world: World
  let listener: Listening
  beforeAll(async () => {
    const config = { dpop: { nonce: 'required' } } as const
    world = await startWorld({ limits: { perSource: PER_SOURCE }, ticks: new HandTicks(), config })
    listener = await listenTo(world)
  })
  afterAll(async () => {
    await listener.stop()
    await world.close()
  })

  test.each(
    PATHS,
  )('%s: is answered as the route answers, on a connection that stays, and counted once each', async (path) => {
    const address = `127.0.2.${1 + PATHS.indexOf(path)}`
    const requests = Array.from({ length: 6 }, () => post(path, 'grant_type=no-such-thing'))
    const answers = await ask(listener, address, requests)
    expect(answers.slice(0, 2).every(({ status }) => status < 429)).toBe(true)
    const routed = await postFrom(world, { peer: address }, path, { grant_type: 'no-such-thing' })
    for (const { status, headers, body } of answers.slice(2)) {
      expect([status, body]).toEqual([routed.status, routed.body])
      for (const [name, value] of routed.headers) expect(headers.get(name), name).toBe(value)
      expect(headers.get('retry-after')).toBe('4')
      expect(headers.get('connection')).toBe('keep-alive')
    }
    expect((await countsOf(world, address)).source_limited).toBe(5)
  })

  test('is answered as the route answers to the last header, however it asks', async () => {
    const broker = { ...world.broker, turnAway: () => false }
    const routed = await listenTo(Object.create(world, { broker: { value: broker } }))
    try {
      const address = '127.0.2.19'
      const body = 'grant_type=x'
      const flood = Array.from({ length: 4 }, () => post('/token', body))
      expect((await ask(listener, address, flood))[3]?.status).toBe(429)
      const chunked = 'POST /token HTTP/1.1\r\nHost: e.example\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n'
      const requests = [
        post('/token', body, [
          'DPoP: e30.e30.c2ln',
          'X-Request-ID: r-1',
          'traceparent: 00-x',
          'Authorization: Basic eDp5',
        ]),
        post('/token', body, ['Connection: close']),
        post('/token', body, ['Expect: 100-continue']),
        post('/token', body, ['Content-Encoding: gzip']),
        post('/token', body, ['Host: other.example']),
        post('/token', body).replace('HTTP/1.1', 'HTTP/1.0'),
        ...['http://other.example/token', '/token?grant_type=y', '//token', '/%74oken', '/token/', '/./token'].map(
          (target) => post(target, body),
        ),
        chunked,
      ]
      for (const request of requests) {
        const [turned, unturned] = [
          await exchange(listener, address, request),
          await exchange(routed, address, request),
        ]
        expect(turned, request).toEqual(unturned)
      }
    } finally {
      await routed.stop()
    }
  })

  test('is told the present nonce where it has sent a proof, as everybody is (RFC 9449 §8.2)', async () => {
    const request = post('/token', 'grant_type=x', ['DPoP: e30.e30.c2ln'])
    const answers = await ask(listener, '127.0.2.20', [request, request, request])
    expect(answers[2]?.status).toBe(429)
    expect(answers[2]?.headers.get('dpop-nonce')).toBe(answers[0]?.headers.get('dpop-nonce') ?? 'none')
  })

  test('another method, another path and another source are not concerned', async () => {
    const flood = Array.from({ length: 4 }, () => post('/token', 'grant_type=x'))
    expect((await ask(listener, '127.0.2.21', flood))[3]?.status).toBe(429)
    const others = ['GET /token', 'GET /jwks', 'GET /healthz'].map(
      (line) => `${line} HTTP/1.1\r\nHost: e.example\r\n\r\n`,
    )
    const statuses = async (address: string, requests: readonly string[]) =>
      (await ask(listener, address, requests)).map(({ status }) => status)
    expect(await statuses('127.0.2.21', others)).toEqual([405, 200, 200])
    expect(await statuses('127.0.2.22', [post('/token', 'grant_type=x')])).toEqual([400])
  })

  test('a client that is known there is answered among its floods', async () => {
    const address = '127.0.2.23'
    expect((await honest(world, { peer: address })).status).toBe(200)
    await ask(
      listener,
      address,
      Array.from({ length: 5 }, () => post('/token', 'grant_type=x')),
    )
    expect((await honest(world, { peer: address })).status).toBe(200)
  })

  test('a body that does not end is not waited for, nor read for long', async () => {
    await ask(
      listener,
      '127.0.2.24',
      Array.from({ length: 3 }, () => post('/token', 'grant_type=x')),
    )
    const wire = await Wire.open(listener.port, '127.0.2.24')
    wire.send('POST /token HTTP/1.1\r\nHost: e.example\r\nContent-Length: 60000\r\n\r\nbegun')
    expect((await wire.answers(1)).answers[0]?.status).toBe(429)
    expect((await wire.ended(UNREAD_BODY_MS_MAX * 8)).closed).toBe(true)
  })
})

test('a refusal is held back for as long as is configured, and one that is gone by then holds nothing up', async () => {
  const limits = { perSource: PER_SOURCE, refusalDelayMs: 300 }
  const world = await startWorld({ limits, ticks: new HandTicks() })
  const listener = await listenTo(world)
  try {
    const request = post('/token', 'grant_type=x')
    await ask(listener, '127.0.2.30', [request, request])
    const gone = await Wire.open(listener.port, '127.0.2.30')
    gone.send(request)
    const begun = performance.now()
    setTimeout(() => gone.close(), 100)
    expect((await ask(listener, '127.0.2.30', [request]))[0]?.status).toBe(429)
    expect(performance.now() - begun).toBeGreaterThan(290)
    expect((await countsOf(world, '127.0.2.30')).source_limited).toBe(2)
  } finally {
    await listener.stop()
    await world.close()
  }
})
