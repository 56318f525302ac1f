import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { ResolveHost } from '../../../src/net/destination.ts'
import { createGuardedFetch, type FetchBounds } from '../../../src/net/guarded-fetch.ts'
import { OutboundError, type OutboundErrorCode } from '../../../src/net/outbound-error.ts'

const BOUNDS: FetchBounds = { bytesMax: 1024, timeoutMs: 1_500, accept: ['application/json'] }

const servers: Server[] = []
let connections = 0

async function serve(answer: RequestListener): Promise<{ url: string; port: number }> {
  const server = createServer(answer)
  server.on('connection', () => {
    connections += 1
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port }
}

afterEach(async () => {
  connections = 0
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

const json: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end('{"ok":true}')
}
const inside = createGuardedFetch({ allowLoopback: true })
const outside = createGuardedFetch({ allowLoopback: false })

async function refused(attempt: Promise<unknown>): Promise<OutboundErrorCode> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(OutboundError)
  return (error as OutboundError).code
}

describe('guarded fetch', () => {
  it('reads JSON from loopback where loopback is allowed, sending neither cookies nor credentials', async () => {
    const seen: unknown[] = []
    const { url } = await serve((request, response) => {
      seen.push(request.method, request.headers.cookie, request.headers.authorization, request.headers.accept)
      response.setHeader('set-cookie', 'a=b')
      json(request, response)
    })
    expect(await inside(url, BOUNDS)).toEqual({ ok: true })
    expect(await inside(url, BOUNDS)).toEqual({ ok: true })
    expect(seen).toEqual([
      'GET',
      undefined,
      undefined,
      'application/json',
      'GET',
      undefined,
      undefined,
      'application/json',
    ])
  })

  it.each([
    ['127.0.0.1', 'http://127.0.0.1:PORT/'],
    ['a decimal address', 'https://2130706433:PORT/'],
    ['a hexadecimal address', 'https://0x7f.1:PORT/'],
    ['an octal address', 'https://0177.0.0.1:PORT/'],
    ['a short address', 'https://127.1:PORT/'],
    ['full-width digits', 'https://１２７.0.0.1:PORT/'],
    ['IPv6 loopback', 'https://[::1]:PORT/'],
    ['an IPv4-mapped address', 'https://[::ffff:127.0.0.1]:PORT/'],
    ['the name localhost', 'https://localhost:PORT/'],
    ['the name localhost with its final dot', 'https://localhost.:PORT/'],
  ])('refuses %s before connecting where loopback is not allowed', async (_name, template) => {
    const { port } = await serve(json)
    const code = await refused(outside(template.replace('PORT', String(port)), BOUNDS))
    // A resolver may not know `localhost.`; then it is unreachable, which is refused as well.
    expect(['address_refused', 'url_refused', 'unreachable']).toContain(code)
    if (!template.includes('localhost.')) expect(code).not.toBe('unreachable')
    expect(connections).toBe(0)
  })

  it('refuses the cloud metadata address and private networks even where loopback is allowed', async () => {
    for (const host of ['169.254.169.254', '10.0.0.1', '[fd00:ec2::254]', '[::ffff:127.0.0.1]']) {
      expect(await refused(inside(`https://${host}/`, BOUNDS))).toBe('address_refused')
    }
  })

  it('refuses plain http to anything but loopback', async () => {
    const resolveHost: ResolveHost = async () => [{ address: '8.8.8.8', family: 4 }]
    expect(await refused(createGuardedFetch({ allowLoopback: true, resolveHost })('http://idp.example/', BOUNDS))).toBe(
      'url_refused',
    )
  })

  it('refuses a name that resolves to loopback among public addresses', async () => {
    const { port } = await serve(json)
    for (const allowLoopback of [true, false]) {
      const resolveHost: ResolveHost = async () => [
        { address: '93.184.216.34', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]
      const code = await refused(
        createGuardedFetch({ allowLoopback, resolveHost })(`https://idp.example:${port}/`, BOUNDS),
      )
      expect(code).toBe('address_refused')
    }
    expect(connections).toBe(0)
  })

  it('connects to the address that was checked, resolving once (DNS rebinding)', async () => {
    const { port } = await serve(json)
    let answers = 0
    const resolveHost: ResolveHost = async () => {
      answers += 1
      return [{ address: answers === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]
    }
    // The name exists nowhere: only the pinned address can have been used.
    expect(
      await createGuardedFetch({ allowLoopback: true, resolveHost })(`http://rebind.invalid:${port}/`, BOUNDS),
    ).toEqual({ ok: true })
    expect(answers).toBe(1)
  })

  it('refuses a name without addresses and one that cannot be resolved', async () => {
    const nowhere: ResolveHost = async () => []
    expect(
      await refused(createGuardedFetch({ allowLoopback: true, resolveHost: nowhere })('https://idp.example/', BOUNDS)),
    ).toBe('unreachable')
    const failing: ResolveHost = async () => Promise.reject(new Error('ENOTFOUND'))
    expect(
      await refused(createGuardedFetch({ allowLoopback: true, resolveHost: failing })('https://idp.example/', BOUNDS)),
    ).toBe('unreachable')
  })

  it.each([
    'ftp://127.0.0.1/',
    'file:///etc/passwd',
    'data:application/json,{}',
    'not a url',
    '',
    '/jwks',
    'http://user:pass@127.0.0.1/',
    'http://user@127.0.0.1/',
  ])('refuses the URL "%s"', async (url) => expect(await refused(inside(url, BOUNDS))).toBe('url_refused'))

  it.each([301, 302, 303, 307, 308])('does not follow a %i redirect', async (status) => {
    const target = await serve(json)
    const before = connections
    const { url } = await serve((_request, response) => response.writeHead(status, { location: target.url }).end())
    expect(await refused(inside(url, BOUNDS))).toBe('redirect')
    expect(connections - before).toBe(1)
  })

  it.each([204, 206, 400, 404, 500, 503])('refuses status %i', async (status) => {
    const { url } = await serve((_request, response) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(status === 204 ? undefined : '{}'),
    )
    expect(await refused(inside(url, BOUNDS))).toBe('status')
  })

  it.each([
    'text/html',
    'text/plain',
    'application/jsonp',
    'application/json-seq',
    undefined,
  ])('refuses content type %s', async (type) => {
    const { url } = await serve((_request, response) =>
      response.writeHead(200, type === undefined ? {} : { 'content-type': type }).end('{}'),
    )
    expect(await refused(inside(url, BOUNDS))).toBe('media_type')
  })

  it('refuses a content encoding that was not asked for (decompression bomb)', async () => {
    const { url } = await serve((_request, response) =>
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end('{}'),
    )
    expect(await refused(inside(url, BOUNDS))).toBe('media_type')
  })

  it('accepts exactly the cap, and refuses a size announced beyond it without waiting for the body', async () => {
    const sized = (bytes: number) => `"${'a'.repeat(bytes - 2)}"`
    const { url } = await serve((request, response) => {
      const bytes = Number(request.url?.slice(1))
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes })
      if (bytes <= BOUNDS.bytesMax) response.end(sized(bytes))
      else response.flushHeaders()
    })
    expect(await inside(`${url}/${BOUNDS.bytesMax}`, BOUNDS)).toBe('a'.repeat(BOUNDS.bytesMax - 2))
    expect(await refused(inside(`${url}/${BOUNDS.bytesMax + 1}`, BOUNDS))).toBe('too_large')
  })

  it('stops an endless body at the cap while it streams in', async () => {
    let sent = 0
    const { url } = await serve((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const timer = setInterval(() => {
        sent += 256
        response.write(' '.repeat(256))
      }, 2)
      request.on('close', () => clearInterval(timer))
      response.on('close', () => clearInterval(timer))
    })
    expect(await refused(inside(url, BOUNDS))).toBe('too_large')
    expect(sent).toBeLessThan(64 * 1024)
  })

  it.each([
    ['never answers', () => undefined],
    [
      'drips its body',
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        const timer = setInterval(() => response.write(' '), 20)
        response.on('close', () => clearInterval(timer))
      },
    ],
  ] satisfies [string, RequestListener][])('gives up at its deadline on a server that %s', async (_name, answer) => {
    const { url } = await serve(answer)
    const startedMs = performance.now()
    expect(await refused(inside(url, { ...BOUNDS, timeoutMs: 150 }))).toBe('timeout')
    // It would be asked for good.
    expect(performance.now() - startedMs).toBeLessThan(10_000)
  })

  it('counts resolving into the deadline', async () => {
    const resolveHost: ResolveHost = () => new Promise(() => undefined)
    const attempt = createGuardedFetch({ allowLoopback: true, resolveHost })('https://idp.example/', {
      ...BOUNDS,
      timeoutMs: 50,
    })
    expect(await refused(attempt)).toBe('timeout')
  })

  it('refuses a body that breaks off', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
      response.write('{"ok":true}', () => response.destroy())
    })
    expect(await refused(inside(url, BOUNDS))).toBe('unreachable')
  })

  it.each([
    '',
    '<html>',
    '{"a":1',
    '\uFEFFx',
    '{"a":NaN}',
    '{"keys":[],"keys":[]}',
    '\uFEFF{}',
    '['.repeat(500),
  ])('refuses the body %j, and does not quote it', async (body) => {
    const { url } = await serve((_request, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(body),
    )
    const error = await inside(url, BOUNDS).catch((thrown: unknown) => thrown as OutboundError)
    expect(error).toMatchObject({ code: 'malformed', message: 'the answer is not strict JSON in UTF-8' })
    expect((error as OutboundError).cause).toBeUndefined()
  })

  it('refuses bytes that are not UTF-8', async () => {
    const { url } = await serve((_request, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(Buffer.from([0x22, 0xff, 0x22])),
    )
    expect(await refused(inside(url, BOUNDS))).toBe('malformed')
  })

  it('says unreachable when nothing listens', async () => {
    const { url } = await serve(json)
    const server = servers.pop()
    await new Promise((resolve) => server?.close(resolve))
    expect(await refused(inside(url, BOUNDS))).toBe('unreachable')
  })
})
