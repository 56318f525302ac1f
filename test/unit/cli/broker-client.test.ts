import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { BrokerClient, BrokerRefusal } from '../../../src/cli/broker-client.ts'
import { CommandFailure, UsageError } from '../../../src/cli/failures.ts'
import { Secret } from '../../../src/kernel/secret.ts'

let server: Server | undefined
afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((done) => (server === undefined ? done(undefined) : server.close(done)))
  server = undefined
})

async function listen(listener: RequestListener): Promise<string> {
  const started = createServer(listener)
  server = started
  await new Promise<void>((done) => started.listen(0, '127.0.0.1', done))
  return `http://127.0.0.1:${(started.address() as AddressInfo).port}`
}

const BEARER = new Secret('the-bearer')

describe('where a command speaks to', () => {
  test.each([
    'http://broker.example',
    'http://10.0.0.1:4400',
    'http://127.0.0.1.evil.example',
    'ftp://127.0.0.1',
    'errand',
    '',
  ])('%s is refused: a credential would cross a network in the clear', (base) => {
    expect(() => new BrokerClient(base)).toThrow(UsageError)
  })

  test.each([
    'https://broker.example',
    'http://127.0.0.1:4400',
    'http://[::1]:4400',
    'http://localhost:4400',
  ])('%s is accepted', (base) => {
    expect(() => new BrokerClient(base)).not.toThrow()
  })

  test('below the issuer’s own path', async () => {
    const seen: string[] = []
    const base = await listen((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization}`)
      response.end('{}')
    })
    await new BrokerClient(`${base}/tenant`).get('/admin/v1/sessions', BEARER)
    await new BrokerClient(`${base}/`).get('/admin/v1/audit?limit=1', BEARER)
    expect(seen).toEqual([
      'GET /tenant/admin/v1/sessions Bearer the-bearer',
      'GET /admin/v1/audit?limit=1 Bearer the-bearer',
    ])
  })
})

describe('answers', () => {
  const answering = async (status: number, body: string, headers: Record<string, string> = {}) => {
    const base = await listen((_request, response) => void response.writeHead(status, headers).end(body))
    return new BrokerClient(base).get('/x', BEARER)
  }

  test('a refusal is the broker’s own words', async () => {
    const refused = answering(400, '{"error":"invalid_target","error_reason":"resource_unknown"}')
    await expect(refused).rejects.toThrow(BrokerRefusal)
    await expect(refused).rejects.toMatchObject({ status: 400, body: { error_reason: 'resource_unknown' } })
  })

  test('a redirect is not followed: the bearer token would go where another server points', async () => {
    let asked = 0
    const base = await listen((_request, response) => {
      asked += 1
      response.writeHead(307, { location: '/elsewhere' }).end()
    })
    await expect(new BrokerClient(base).get('/x', BEARER)).rejects.toThrow('status 307')
    expect(asked).toBe(1)
  })

  test.each([
    [200, 'not JSON'],
    [200, '[]'],
    [200, '{"a":1,"a":2}'],
    [502, '<html>'],
    [500, '{"message":"oops"}'],
  ])('%i %s is not a broker’s', async (status, body) => {
    await expect(answering(status, body)).rejects.toThrow(CommandFailure)
  })

  test('nobody there is said, with what to do', async () => {
    const base = await listen((_request, response) => void response.end())
    server?.close()
    await new Promise((done) => server?.once('close', done))
    server = undefined
    await expect(new BrokerClient(base).get('/x', BEARER)).rejects.toThrow(/start it with .+ serve$/)
  })
})

describe('a stream', () => {
  const following = { lastEventId: 'epoch.7', signal: new AbortController().signal }

  test('is asked for as one, from where it was, and comes as it is sent', async () => {
    const seen: unknown[] = []
    const base = await listen((request, response) => {
      const { accept, authorization } = request.headers
      seen.push(request.url, accept, authorization, request.headers['last-event-id'])
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
      response.end('event: heartbeat\n\n')
    })
    const chunks: Uint8Array[] = []
    for await (const chunk of await new BrokerClient(base).stream('/revocations', BEARER, following)) chunks.push(chunk)
    expect(Buffer.concat(chunks).toString()).toBe('event: heartbeat\n\n')
    expect(seen).toEqual(['/revocations', 'text/event-stream', 'Bearer the-bearer', 'epoch.7'])
  })

  test('that is refused, or none, is not read as one', async () => {
    const refusing = await listen((_request, response) => {
      response.writeHead(403, { 'content-type': 'application/json' })
      response.end('{"error":"insufficient_scope"}')
    })
    await expect(new BrokerClient(refusing).stream('/', BEARER, following)).rejects.toThrow(BrokerRefusal)
    server?.close()
    const other = await listen((_request, response) => response.end('{}'))
    await expect(new BrokerClient(other).stream('/', BEARER, following)).rejects.toThrow(CommandFailure)
  })

  test('ends with who wanted it, and so does a request', async () => {
    const base = await listen((request, response) => {
      if (request.url === '/silent') return
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: heartbeat\n\n')
    })
    const ending = new AbortController()
    const bytes = await new BrokerClient(base).stream('/', BEARER, { lastEventId: undefined, signal: ending.signal })
    const read = (async () => {
      for await (const _ of bytes) ending.abort()
    })()
    await expect(read).rejects.toThrow()
    await expect(new BrokerClient(base).endingWith(ending.signal).get('/silent', BEARER)).rejects.toThrow(
      CommandFailure,
    )
  })
})
