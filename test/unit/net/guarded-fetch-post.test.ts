import { execFile } from 'node:child_process'
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { inspect, promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../../src/kernel/secret.ts'
import { createGuardedFetch, type FetchRequest } from '../../../src/net/guarded-fetch.ts'
import { OutboundError } from '../../../src/net/outbound-error.ts'
import { type Authority, type Issued, makeAuthority } from '../../support/certificates.ts'

const GET: FetchRequest = { bytesMax: 1024, timeoutMs: 1_500, accept: ['application/json'] }
const FORM = { type: 'application/x-www-form-urlencoded', text: new Secret('token=t0ken%C3%A9') } as const
const fetchJson = createGuardedFetch({ allowLoopback: true })

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const servers: { close(done: () => void): void; closeAllConnections?(): void }[] = []
const seen: Seen[] = []

async function listen(server: Server | ReturnType<typeof createTlsServer>): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** Records each request, then answers. */
function recorded(answer: RequestListener): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method, url, headers } = request
      seen.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
      answer(request, response)
    })
  }
}

const serve = (answer: RequestListener) => listen(createServer(recorded(answer)))

function json(status = 200): RequestListener {
  return (_request, response) =>
    response.writeHead(status, { 'content-type': 'application/json', 'set-cookie': 'a=b' }).end('{"ok":true}')
}

afterEach(async () => {
  seen.length = 0
  for (const server of servers.splice(0)) {
    server.closeAllConnections?.()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
})

async function failure(attempt: Promise<unknown>): Promise<OutboundError> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(OutboundError)
  return error as OutboundError
}

describe('a POST of the guarded fetch', () => {
  it('sends a form or JSON with its length, the one credential named, and no header besides', async () => {
    const port = await serve(json())
    const url = `http://127.0.0.1:${port}/introspect?tenant=1`
    const authorization = new Secret('Bearer reviewer')
    expect(await fetchJson(url, { ...GET, body: FORM, authorization })).toEqual({ ok: true })
    const document = { type: 'application/json', text: new Secret('{"a":1}') } as const
    expect(await fetchJson(url, { ...GET, body: document })).toEqual({ ok: true })
    const common = {
      accept: 'application/json',
      'accept-encoding': 'identity',
      connection: 'close',
      host: `127.0.0.1:${port}`,
    }
    expect(seen).toEqual([
      {
        method: 'POST',
        url: '/introspect?tenant=1',
        body: 'token=t0ken%C3%A9',
        headers: {
          ...common,
          authorization: 'Bearer reviewer',
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': '17',
        },
      },
      {
        method: 'POST',
        url: '/introspect?tenant=1',
        body: '{"a":1}',
        headers: { ...common, 'content-type': 'application/json', 'content-length': '7' },
      },
    ])
  })

  it('may be answered with 201 where it says so (TokenReview)', async () => {
    const url = `http://127.0.0.1:${await serve(json(201))}/`
    expect(await fetchJson(url, { ...GET, body: FORM, mayCreate: true })).toEqual({ ok: true })
    expect((await failure(fetchJson(url, { ...GET, body: FORM }))).code).toBe('status')
    expect((await failure(fetchJson(url, GET))).code).toBe('status')
  })

  it.each([301, 302, 307, 308])('is not sent on by a %i, nor is its credential', async (status) => {
    const target = await serve(json())
    const port = await serve((_request, response) =>
      response.writeHead(status, { location: `http://127.0.0.1:${target}/` }).end(),
    )
    const request = { ...GET, body: FORM, authorization: new Secret('Bearer reviewer') }
    expect((await failure(fetchJson(`http://127.0.0.1:${port}/`, request))).code).toBe('redirect')
    expect(seen).toHaveLength(1)
  })

  it('is refused to the same addresses as a GET', async () => {
    for (const host of ['169.254.169.254', '10.0.0.1', '[::ffff:127.0.0.1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]']) {
      expect((await failure(fetchJson(`https://${host}/`, { ...GET, body: FORM }))).code).toBe('address_refused')
    }
  })

  it('whose failure is printed shows neither its body nor its credential', async () => {
    const port = await serve((_request, response) => response.writeHead(500).end('t0ken reviewer'))
    for (const path of [`127.0.0.1:${port}`, '127.0.0.1:1']) {
      const request = { ...GET, body: FORM, authorization: new Secret('Bearer reviewer') }
      const error = await failure(fetchJson(`http://${path}/`, request))
      expect(inspect(error, { depth: 10 })).not.toMatch(/t0ken|reviewer/)
    }
  })

  it('ends at its deadline where nobody reads it, and where the answer is a slow drip of headers', async () => {
    const sockets: { destroy(): void }[] = []
    const server = createTcpServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => undefined)
      socket.write('HTTP/1.1 200 OK\r\n')
      const timer = setInterval(() => socket.write('x-a: b\r\n'), 10)
      socket.on('close', () => clearInterval(timer))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    servers.push({
      close: (done) => {
        for (const socket of sockets) socket.destroy()
        server.close(done)
      },
    })
    const { port } = server.address() as AddressInfo
    const request = { ...GET, timeoutMs: 200, body: FORM }
    expect((await failure(fetchJson(`http://127.0.0.1:${port}/`, request))).code).toBe('timeout')
  })

  it('does not inflate what was compressed without being asked for (decompression bomb)', async () => {
    const bomb = gzipSync(Buffer.alloc(1 << 20, 0x20))
    for (const headers of [{ 'content-encoding': 'gzip' }, { 'content-encoding': 'br' }, {}]) {
      const port = await serve((_request, response) =>
        response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(bomb),
      )
      const { code } = await failure(fetchJson(`http://127.0.0.1:${port}/`, { ...GET, bytesMax: 8192 }))
      expect(code).toBe(Object.keys(headers).length === 0 ? 'malformed' : 'media_type')
    }
  })
})

describe('hosts with private addresses', () => {
  const at = (address: string, internalHosts: readonly string[]) =>
    createGuardedFetch({
      allowLoopback: false,
      internalHosts: new Set(internalHosts),
      resolveHost: async () => [{ address, family: address.includes(':') ? 6 : 4 }],
    })

  it('are refused unless the operator has named exactly that host and port', async () => {
    for (const named of [[], ['other.internal'], ['idp.internal:8443'], ['IDP.internal'], ['internal']]) {
      const { code } = await failure(at('10.255.255.1', named)('https://idp.internal/', { ...GET, timeoutMs: 100 }))
      expect(code).toBe('address_refused')
    }
    for (const url of ['https://idp.internal/', 'https://idp.internal:443/']) {
      const { code } = await failure(at('10.255.255.1', ['idp.internal'])(url, { ...GET, timeoutMs: 100 }))
      expect(['timeout', 'unreachable']).toContain(code) // let through, and nobody is there
    }
  })

  it('reach neither loopback nor link-local nor metadata addresses by being named, and never over plain http', async () => {
    const addresses = ['127.0.0.1', '169.254.169.254', '100.100.100.200', 'fd00:ec2::254', 'fe80::1', '::ffff:10.0.0.1']
    for (const address of addresses) {
      expect((await failure(at(address, ['idp.internal'])('https://idp.internal/', GET))).code).toBe('address_refused')
    }
    expect((await failure(at('10.0.0.1', ['idp.internal'])('http://idp.internal/', GET))).code).toBe('url_refused')
  })
})

describe('TLS of the guarded fetch', () => {
  let authority: Authority
  let other: Authority
  let issued: Issued
  beforeAll(async () => {
    ;[authority, other] = [await makeAuthority(), await makeAuthority()]
    issued = await authority.issue({ names: ['127.0.0.1', 'idp.internal'] })
  })
  const serveTls = async () => listen(createTlsServer({ cert: issued.certificate, key: issued.key }, recorded(json())))

  it('trusts the named authority instead of the system’s, and nobody else', async () => {
    const url = `https://127.0.0.1:${await serveTls()}/`
    expect(await fetchJson(url, { ...GET, ca: authority.certificate, body: FORM })).toEqual({ ok: true })
    expect((await failure(fetchJson(url, { ...GET, ca: other.certificate, body: FORM }))).code).toBe('unreachable')
    expect((await failure(fetchJson(url, { ...GET, body: FORM }))).code).toBe('unreachable')
    expect(seen).toHaveLength(1)
  })

  it('checks the name that was asked for, not the address that was dialled', async () => {
    const port = await serveTls()
    const resolveHost = async () => [{ address: '127.0.0.1', family: 4 } as const]
    const named = createGuardedFetch({ allowLoopback: true, resolveHost })
    const request = { ...GET, ca: authority.certificate }
    expect(await named(`https://idp.internal:${port}/`, request)).toEqual({ ok: true })
    expect((await failure(named(`https://else.internal:${port}/`, request))).code).toBe('unreachable')
  })

  it('is verified, and no proxy is used, whatever the environment says', async () => {
    let proxied = 0
    const proxy = await listen(
      createServer((_request, response) => {
        proxied += 1
        json()(_request, response)
      }).on('connect', (_request, socket) => {
        proxied += 1
        socket.destroy()
      }),
    )
    const tls = await serveTls()
    const plain = await serve(json())
    const env = {
      ...process.env,
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      NODE_USE_ENV_PROXY: '1',
      HTTP_PROXY: `http://127.0.0.1:${proxy}`,
      HTTPS_PROXY: `http://127.0.0.1:${proxy}`,
      NO_PROXY: '',
    }
    const child = new URL('outbound-child.ts', import.meta.url).pathname
    const urls = [`https://127.0.0.1:${tls}/`, `http://127.0.0.1:${plain}/`]
    const { stdout } = await promisify(execFile)(process.execPath, [child, ...urls], { env })
    expect(stdout.trim().split('\n')).toEqual(['unreachable', '{"ok":true}'])
    expect(proxied).toBe(0)
  })
})
