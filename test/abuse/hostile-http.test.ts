/**
 * Bytes that no honest client sends, on a real socket (H23, H28, H31, H35): requests that could be read in two ways, targets
 * and methods that walk around filters, bodies beyond every bound. Each is answered once, as OAuth JSON, without echo, and
 * nothing behind it is taken for a second request.
 */
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Listening } from '../../src/http/listener.ts'
import { BODY_BYTES_MAX, HEADERS_BYTES_MAX, PIPELINED_REQUESTS_MAX } from '../../src/kernel/limits.ts'
import { type Conversation, converse, listenTo, type WireAnswer } from '../support/raw-http.ts'
import { INTENT, startWorld, TYPE, type World } from '../support/world.ts'

let world: World
let listener: Listening
beforeAll(async () => {
  world = await startWorld({ realClock: true })
  listener = await listenTo(world, { headersMs: 2_000, requestMs: 2_000 })
})
afterAll(async () => {
  await listener.stop()
  await world.close()
})

const FORM = 'Content-Type: application/x-www-form-urlencoded'
/** Stands in every hostile request: it must come back nowhere. */
const MARK = 'S3CRET-MARK'

/** A body that opens a session where it is read as what it is. */
function genuine(): string {
  return new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    ...(world.authentication('orchestrator') as Record<string, string>),
    subject_token: world.idToken(),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: JSON.stringify(INTENT),
  }).toString()
}

/** Lines and a body, with exactly the line ends HTTP wants. */
const request = (lines: readonly string[], body = '') => `${lines.join('\r\n')}\r\n\r\n${body}`
const post = (headers: readonly string[], body: string) =>
  request(['POST /token HTTP/1.1', 'Host: errand.example', `X-Mark: ${MARK}`, FORM, ...headers], body)
const get = (target: string, headers: readonly string[] = ['Host: errand.example']) =>
  request([`GET ${target} HTTP/1.1`, `X-Mark: ${MARK}`, ...headers])
const chunked = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
/** What an attacker wants to be found behind the first request. */
const HIDDEN = get('/jwks')

interface Expected {
  readonly status?: number
  readonly error?: string
  /** How it is counted. */
  readonly reason: string
  readonly closed?: boolean
}

const MALFORMED: Expected = { reason: 'request_malformed', closed: true }

/** One answer, a refusal fit for a stranger; one count of it; no session. */
async function expectRefused(bytes: string | Uint8Array, expected: Expected): Promise<WireAnswer> {
  await world.broker.flushAudit()
  const before = new Set((await world.audit(1_000)).map(({ id }) => id))
  const sessions = await world.sessions()
  const conversation = await converse(listener.port, bytes)
  if (expected.closed === true) await settled(conversation)
  const [answer] = conversation.answers
  if (answer === undefined) throw new Error('no answer')
  expect(conversation.answers).toHaveLength(1)
  expect([answer.status, answer.body?.error]).toEqual([expected.status ?? 400, expected.error ?? 'invalid_request'])
  expect(answer.headers.get('content-type')).toBe('application/json')
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(Object.keys(answer.body)).toEqual(['error', 'error_description'])
  expect(answer.body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
  expect(conversation.raw).not.toMatch(/S3CRET|eyJ|node:|\.ts:|at \w+ \(|"kty"/)
  await world.broker.flushAudit()
  const added = (await world.audit(1_000)).filter(({ id }) => !before.has(id))
  expect(added.map(({ event }) => event)).toEqual(['strangers.refused'])
  expect(added[0].strangers).toEqual([[expected.reason, '127.0.0.1', 1]])
  expect(await world.sessions()).toEqual(sessions)
  return answer
}

async function settled({ answers }: Conversation): Promise<void> {
  expect(answers[0]?.headers.get('connection')).toBe('close')
}

test('the genuine request, over the same socket, opens a session: what follows is refused for its form alone', async () => {
  const body = genuine()
  const plain = await converse(listener.port, post([`Content-Length: ${body.length}`], body))
  expect([plain.answers[0]?.status, plain.answers[0]?.body.token_type]).toEqual([200, 'N_A'])
  const again = genuine()
  const pieces = again.match(/.{1,100}/g) ?? []
  const inChunks = `${pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')}0\r\n\r\n`
  const streamed = await converse(listener.port, post(['Transfer-Encoding: chunked'], inChunks))
  expect(streamed.answers[0]?.status).toBe(200)
})

describe('H31: framing that two readers could disagree about', () => {
  const framings: Record<string, (body: string) => string> = {
    'Content-Length and Transfer-Encoding': (body) =>
      post([`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked'], chunked(body)),
    'Transfer-Encoding and Content-Length': (body) =>
      post(['Transfer-Encoding: chunked', `Content-Length: ${body.length}`], chunked(body)),
    'two lengths that differ': (body) => post([`Content-Length: ${body.length}`, 'Content-Length: 6'], body),
    'two lengths that agree': (body) =>
      post([`Content-Length: ${body.length}`, `Content-Length: ${body.length}`], body),
    'a list of lengths': (body) => post([`Content-Length: ${body.length}, ${body.length}`], body),
    'a signed length': (body) => post([`Content-Length: +${body.length}`], body),
    'a negative length': (body) => post(['Content-Length: -1'], body),
    'a hexadecimal length': (body) => post([`Content-Length: 0x${body.length.toString(16)}`], body),
    'a length beyond any number': (body) => post([`Content-Length: ${'9'.repeat(30)}`], body),
    'an empty length': (body) => post(['Content-Length:'], body),
    'an unknown coding': (body) => post(['Transfer-Encoding: xchunked'], chunked(body)),
    'a coding besides chunked': (body) => post(['Transfer-Encoding: gzip, chunked'], chunked(body)),
    'chunked twice': (body) => post(['Transfer-Encoding: chunked, chunked'], chunked(body)),
    'chunked, then another': (body) => post(['Transfer-Encoding: chunked, identity'], chunked(body)),
    'two Transfer-Encodings': (body) =>
      post(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], chunked(body)),
    'a space before the colon': (body) => post(['Transfer-Encoding : chunked'], chunked(body)),
    'a vertical tab before the coding': (body) => post(['Transfer-Encoding: \x0bchunked'], chunked(body)),
    'a folded coding': (body) => post(['Transfer-Encoding:', ' chunked'], chunked(body)),
    'a quoted coding': (body) => post(['Transfer-Encoding: "chunked"'], chunked(body)),
    'chunked in HTTP/1.0': (body) => post(['Transfer-Encoding: chunked'], chunked(body)).replace('/1.1', '/1.0'),
    'a chunk size that is signed': (body) => post(['Transfer-Encoding: chunked'], `-${chunked(body)}`),
    'a chunk size beyond any number': (body) =>
      post(['Transfer-Encoding: chunked'], `${'f'.repeat(20)}\r\n${body}\r\n0\r\n\r\n`),
    'a chunk size with a space': (body) => post(['Transfer-Encoding: chunked'], ` ${chunked(body)}`),
    'a chunk extension of 20 KB': (body) =>
      post(['Transfer-Encoding: chunked'], chunked(body).replace('\r\n', `;${'x'.repeat(20_000)}\r\n`)),
    'a chunk longer than its size': (body) =>
      post(['Transfer-Encoding: chunked'], chunked(body).replace('\r\n0\r\n', 'XX\r\n0\r\n')),
    'chunks ended by bare LF': (body) =>
      post(['Transfer-Encoding: chunked'], `${body.length.toString(16)}\n${body}\n0\n\n`),
  }
  /** Told by the body's reader, not by the head's. */
  const inBody = ['signed', 'number', 'space', 'extension', 'size', 'LF'].map((word) => `chunk.*${word}`).join('|')

  test.each(Object.keys(framings))('%s: refused and closed, nothing behind it is read', async (name) => {
    const bytes = (framings[name] ?? String)(genuine()) + HIDDEN
    const isOfBody = new Set(name.match(inBody) ?? []).size > 0 && !name.includes('length')
    await expectRefused(bytes, isOfBody ? { reason: 'body_malformed', closed: true } : MALFORMED)
  })

  const heads: Record<string, string> = {
    'bare LF for every line end': HIDDEN.replaceAll('\r\n', '\n'),
    'bare LF for one line end': get('/jwks', ['Host: errand.example\nX: y']),
    'bare CR in a header': get('/jwks', ['Host: errand.example\rX: y']),
    'NUL in a header': get('/jwks', ['Host: errand.example', 'X: a\0b']),
    'NUL in a name': get('/jwks', ['Host: errand.example', 'X\0: ab']),
    'DEL in a header': get('/jwks', ['Host: errand.example', 'X: a\x7fb']),
    'a folded header': get('/jwks', ['Host: errand.example', 'X: a', ' b']),
    'a space in a name': get('/jwks', ['Host: errand.example', 'X Y: a']),
    'a line without a colon': get('/jwks', ['Host: errand.example', 'nonsense']),
    'a header without a name': get('/jwks', ['Host: errand.example', ': a']),
    'HTTP/2 on a plain port': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'TLS on a plain port': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'bytes of chance': '\xff\xfe\x00\x01\x80\x81',
    'another protocol': 'SSH-2.0-OpenSSH_9.7\r\n',
    'HTTP/0.9': 'GET /jwks\r\n\r\n',
    'HTTP/1.2': HIDDEN.replace('HTTP/1.1', 'HTTP/1.2'),
    'HTTP/2.0 in HTTP/1 clothes': HIDDEN.replace('HTTP/1.1', 'HTTP/2.0'),
    'a method in small letters': HIDDEN.replace('GET', 'get'),
    'a method nobody knows': HIDDEN.replace('GET', 'BREW'),
    TRACK: HIDDEN.replace('GET', 'TRACK'),
    'a tunnel': request(['CONNECT errand.example:443 HTTP/1.1', 'Host: errand.example:443']),
  }
  test.each(Object.keys(heads))('%s: refused and closed, nothing behind it is read', async (name) => {
    await expectRefused(heads[name] + HIDDEN, MALFORMED)
  })

  test('a request pipelined behind broken bytes is never read; the one before them is answered as itself', async () => {
    const { answers, closed, raw } = await converse(listener.port, `${get('/readyz')}\0\0\0${HIDDEN}`, 3)
    expect(answers.map(({ status, body }) => [status, body.status])).toEqual([[200, 'ready']])
    expect([closed, raw.includes('"kty"')]).toEqual([true, false])
  })

  test('a body longer than it said is not a second request', async () => {
    const body = genuine()
    const { answers, closed } = await converse(listener.port, `${post([`Content-Length: ${body.length}`], body)}a=1`, 2)
    expect(answers.map(({ status }) => status)).toEqual([200])
    expect(closed).toBe(true)
    const short = post([`Content-Length: ${body.length - 1}`], body) + HIDDEN
    const second = await converse(listener.port, short, 2)
    expect(second.answers.length).toBe(1)
    expect(second.raw).not.toContain('"kty"')
  })

  test('honest pipelining is answered in order, and only so much of it', async () => {
    const few = await converse(listener.port, get('/nowhere') + get('/healthz') + get('/nowhere'), 3)
    expect(few.answers.map(({ status }) => status)).toEqual([404, 200, 404])
    const many = await converse(listener.port, get('/healthz').repeat(100), 101)
    expect(many.closed).toBe(true)
    expect(many.answers.map(({ status }) => status)).toEqual([...Array(PIPELINED_REQUESTS_MAX).fill(200), 400])
  })
})

describe('H31: targets and hosts', () => {
  const targets: Record<string, string> = {
    'an empty first segment': get('//jwks'),
    'an encoded letter': get('/%6awks'),
    'an encoded slash': get('/admin%2fv1%2fsessions'),
    'encoded dots': get('/x/%2e%2e/jwks'),
    'a double encoding': get('/%256awks'),
    'dot segments': get('/x/../jwks'),
    'a dot segment at its end': get('/jwks/.'),
    'a backslash': get('/x\\..\\jwks'),
    'a fragment': get('/jwks#x'),
    'a semicolon and dots': get('/x/..;/../jwks'),
    'half an encoding': get('/jwks%'),
    'an asterisk': request(['OPTIONS * HTTP/1.1', 'Host: errand.example']),
    'another scheme': get('ftp://errand.example/jwks'),
    credentials: get('http://user@errand.example/jwks'),
    'only an authority': get('errand.example:80'),
    'no Host': get('/jwks', []),
    'two Hosts': get('/jwks', ['Host: errand.example', 'Host: evil.example']),
    'two Hosts that agree': get('/jwks', ['Host: errand.example', 'host: errand.example']),
  }
  test.each(Object.keys(targets))('%s: refused and closed', async (name) => {
    await expectRefused((targets[name] ?? '') + HIDDEN, MALFORMED)
  })

  test.each([
    '/jwks/',
    '/JWKS',
    '/jwks;x',
    '/token/',
    '/TOKEN',
    '/jwks/x',
    '/admin',
    '/',
  ])('%s is not a known endpoint spelled otherwise', async (target) => {
    await expectRefused(get(target), { status: 404, error: 'not_found', reason: 'route_unknown' })
  })

  test('the issuer never comes from Host, nor from the target’s authority', async () => {
    const metadata = '/.well-known/oauth-authorization-server'
    const honest = (await converse(listener.port, get(metadata))).answers[0]?.text
    expect(honest).toContain(world.issuer)
    const hosts = ['evil.example', '', 'evil@x:99999/../?#', '[::1', '999.999.999.999', 'a'.repeat(2_000), '\xe9']
    for (const host of hosts) {
      const forwarded = ['X-Forwarded-Host: evil.example', 'Forwarded: host=evil.example', 'X-Forwarded-Proto: ftp']
      const { answers } = await converse(listener.port, get(metadata, [`Host: ${host}`, ...forwarded]))
      expect([host, answers[0]?.text]).toEqual([host, honest])
    }
    for (const authority of ['http://evil.example', 'https://evil.example:444', 'HTTP://[::1]:80']) {
      const { answers } = await converse(listener.port, get(authority + metadata))
      expect([authority, answers[0]?.text]).toEqual([authority, honest])
    }
  })

  test('HTTP/1.0 without Host is served, and closed', async () => {
    const { answers, closed } = await converse(listener.port, request(['GET /healthz HTTP/1.0']), 2)
    expect([answers.map(({ status }) => status), closed]).toEqual([[200], true])
  })
})

describe('H28: sizes', () => {
  test('a body of 20 MB is refused by its declared length, one of unknown length while it streams', async () => {
    const megabyte = 'a'.repeat(1024 * 1024)
    const declared = post([`Content-Length: ${20 * megabyte.length}`], megabyte)
    await expectRefused(declared, { status: 413, reason: 'body_too_large' })
    const endless = post(['Transfer-Encoding: chunked'], `100000\r\n${megabyte}\r\n`.repeat(3))
    await expectRefused(endless, { status: 413, reason: 'body_too_large' })
  })

  test('what is refused is not read into memory', async () => {
    const bytes = Buffer.from(post(['Transfer-Encoding: chunked'], `10000\r\n${'a'.repeat(65_536)}\r\n`.repeat(300)))
    const before = process.memoryUsage().rss
    const conversations = await Promise.all(Array.from({ length: 10 }, () => converse(listener.port, bytes)))
    expect(conversations.map(({ answers }) => answers[0]?.status)).toEqual(Array(10).fill(413))
    // Ten times 20 MB were offered.
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
  })

  test('whoever asks before sending too much is told not to send', async () => {
    const asked = post([`Content-Length: ${BODY_BYTES_MAX + 1}`, 'Expect: 100-continue'], '')
    await expectRefused(asked, { status: 413, reason: 'body_too_large', closed: true })
    const body = genuine()
    for (const expectation of ['100-continue', '100-CONTINUE', 'something-else']) {
      const fine = post([`Content-Length: ${body.length}`, `Expect: ${expectation}`], genuine())
      const { answers, raw } = await converse(listener.port, fine)
      expect([expectation, answers[0]?.status]).toEqual([expectation, 200])
      expect(raw.startsWith('HTTP/1.1 100')).toBe(expectation.startsWith('100'))
    }
  })

  test('request lines and headers are bounded together, in length and in number', async () => {
    const tooLarge = { status: 431, reason: 'headers_too_large', closed: true }
    await expectRefused(get(`/${'a'.repeat(HEADERS_BYTES_MAX)}`), tooLarge)
    await expectRefused(get(`/jwks?${'a'.repeat(HEADERS_BYTES_MAX)}`), tooLarge)
    await expectRefused(get('/jwks', ['Host: x', `X: ${'a'.repeat(HEADERS_BYTES_MAX)}`]), tooLarge)
    await expectRefused(get('/jwks', ['Host: x', ...Array(HEADERS_BYTES_MAX / 6).fill('X: abc')]), tooLarge)
    await expectRefused(get('/jwks', ['Host: x', `${'X'.repeat(HEADERS_BYTES_MAX)}: a`]), tooLarge)
  })

  test('trailers are neither headers nor parameters', async () => {
    const trailed = `${chunked(genuine()).slice(0, -2)}Authorization: Bearer x\r\nContent-Type: text/plain\r\n\r\n`
    const { answers } = await converse(
      listener.port,
      post(['Transfer-Encoding: chunked'], trailed) + get('/healthz'),
      2,
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
  })

  test('compressed bodies are not unpacked, whatever they call themselves', async () => {
    const bomb = gzipSync(`${genuine()}&padding=${'x'.repeat(5_000_000)}`)
    for (const coding of ['gzip', 'deflate', 'br', 'zstd', 'identity', '']) {
      const head = post([`Content-Length: ${bomb.length}`, `Content-Encoding: ${coding}`], '')
      const bytes = Buffer.concat([Buffer.from(head, 'latin1'), bomb])
      await expectRefused(bytes, { reason: 'media_type_unsupported' })
    }
  })
})

describe('H35 and H23: methods, media types, and other ways in', () => {
  test.each([
    'GET',
    'HEAD',
    'PUT',
    'PATCH',
    'DELETE',
    'TRACE',
    'OPTIONS',
    'PROPFIND',
    'QUERY',
  ])('%s on the token endpoint is 405, and says what is allowed', async (method) => {
    const body = method === 'TRACE' || method === 'HEAD' ? '' : genuine()
    const bytes = post([`Content-Length: ${body.length}`, 'Origin: https://evil.example'], body)
    const asked = bytes.replace('POST', method)
    if (method === 'HEAD') {
      const { answers } = await converse(listener.port, asked)
      expect([answers[0]?.status, answers[0]?.headers.get('allow'), answers[0]?.text]).toEqual([405, 'POST', ''])
      return
    }
    const answer = await expectRefused(asked, { status: 405, reason: 'method_not_allowed' })
    expect(answer.headers.get('allow')).toBe('POST')
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
  })

  test('a header or parameter that names another method changes nothing', async () => {
    for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
      const bytes = get('/token?_method=POST', ['Host: errand.example', `${name}: POST`])
      await expectRefused(bytes, { status: 405, reason: 'method_not_allowed' })
    }
  })

  test('no page of another origin may ask for a token: neither preflight nor answer allows it', async () => {
    const origin = 'Origin: https://evil.example'
    const preflight = get('/token', ['Host: x', origin, 'Access-Control-Request-Method: POST']).replace(
      'GET',
      'OPTIONS',
    )
    const refused = await expectRefused(preflight, { status: 405, reason: 'method_not_allowed' })
    expect(refused.headers.get('access-control-allow-origin')).toBeNull()
    const body = genuine()
    const { answers } = await converse(listener.port, post([`Content-Length: ${body.length}`, origin], body))
    expect(answers[0]?.status).toBe(200)
    expect(answers[0]?.headers.get('access-control-allow-origin')).toBeNull()
  })

  const types = [
    'application/json',
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded, text/plain',
    'application/x-www-form-urlencodedx',
    'x/application/x-www-form-urlencoded',
    '',
  ]
  test.each(types)('a body of type "%s" is no form', async (type) => {
    const body = type.startsWith('application/json') ? JSON.stringify({ grant_type: 'client_credentials' }) : genuine()
    const bytes = post([`Content-Length: ${body.length}`], body).replace(FORM, `Content-Type: ${type}`)
    await expectRefused(bytes, { reason: 'media_type_unsupported' })
  })

  test('neither is a body without a type, or with two', async () => {
    const body = genuine()
    const bytes = post([`Content-Length: ${body.length}`], body)
    await expectRefused(bytes.replace(`${FORM}\r\n`, ''), { reason: 'media_type_unsupported' })
    await expectRefused(bytes.replace(FORM, `${FORM}\r\nContent-Type: text/plain`), {
      reason: 'media_type_unsupported',
    })
  })

  test('an upgrade is not taken up', async () => {
    for (const protocol of ['websocket', 'h2c', 'TLS/1.3']) {
      const asked = get('/healthz', ['Host: x', 'Connection: Upgrade, HTTP2-Settings', `Upgrade: ${protocol}`])
      expect((await converse(listener.port, asked)).answers[0]?.status).toBe(200)
    }
  })

  test('a connection goes on after a refusal, and nothing of it is left for the next request', async () => {
    const body = genuine()
    const steps = [
      post(['Content-Length: 3'], 'a=1'),
      get('/nowhere'),
      post([`Content-Length: ${body.length}`], body),
      post(['Content-Length: 3'], 'a=1'),
    ]
    const { answers, closed } = await converse(listener.port, steps.join(''), 4)
    expect([answers.map(({ status }) => status), closed]).toEqual([[400, 404, 200, 400], false])
  })
})
