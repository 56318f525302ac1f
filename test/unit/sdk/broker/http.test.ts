import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { JWKS_BYTES_MAX } from '../../../../src/kernel/limits.ts'
import { Secret } from '../../../../src/kernel/secret.ts'
import { jsonOverHttp } from '../../../../src/sdk/broker/http.ts'

let server: Server | undefined

async function serve(listener: RequestListener): Promise<string> {
  const started = createServer(listener)
  server = started
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(started.address() as AddressInfo).port}/`
}

afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

describe('the verifier’s door', () => {
  test('takes a JSON answer', async () => {
    const url = await serve((_request, response) => {
      response.setHeader('content-type', 'application/json; charset=utf-8').end('{"keys":[]}')
    })
    expect(await jsonOverHttp({ url })).toBe('{"keys":[]}')
  })

  test('takes a key set by its own media type (RFC 7517 §8.5)', async () => {
    const url = await serve((_request, response) => {
      response.setHeader('content-type', 'application/jwk-set+json').end('{}')
    })
    expect(await jsonOverHttp({ url })).toBe('{}')
  })

  test('posts a form', async () => {
    const url = await serve(async (request, response) => {
      const body = `${request.method} ${request.headers['content-type']} ${await readText(request)}`
      response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
    })
    expect(await jsonOverHttp({ url, form: new URLSearchParams({ token: 'a b' }) })).toMatch(
      /^"POST application\/x-www-form-urlencoded.* token=a\+b"$/,
    )
  })

  test('posts JSON, with the token it is sent with', async () => {
    const url = await serve(async (request, response) => {
      const { method, headers } = request
      const body = [method, headers['content-type'], headers.authorization, await readText(request)]
      response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
    })
    const answer = await jsonOverHttp({ url, json: { a: [1] }, bearer: new Secret('t') })
    expect(JSON.parse(answer)).toEqual(['POST', 'application/json', 'Bearer t', '{"a":[1]}'])
  })

  test('waits no longer than it is told', async () => {
    const url = await serve(() => undefined)
    await expect(jsonOverHttp({ url, json: {}, timeoutMs: 50 })).rejects.toMatchObject({ name: 'TimeoutError' })
  })

  test('does not follow a redirect: the assertion would go with it', async () => {
    let visits = 0
    const url = await serve((_request, response) => {
      visits += 1
      response.writeHead(307, { location: '/elsewhere' }).end()
    })
    await expect(jsonOverHttp({ url, form: new URLSearchParams() })).rejects.toThrow()
    expect(visits).toBe(1)
  })

  test.each([201, 204, 401, 500])('refuses status %i', async (status) => {
    const url = await serve((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(status === 204 ? undefined : '{}')
    })
    await expect(jsonOverHttp({ url })).rejects.toThrow(`status ${status}`)
  })

  test.each(['text/html', 'application/jsonp', 'text/plain; application/json'])('refuses %s', async (type) => {
    const url = await serve((_request, response) => {
      response.setHeader('content-type', type).end('{}')
    })
    await expect(jsonOverHttp({ url })).rejects.toThrow('other than JSON')
  })

  test('refuses an answer without end', async () => {
    const url = await serve((_request, response) => {
      response.setHeader('content-type', 'application/json')
      const write = (): void => {
        while (response.write(Buffer.alloc(JWKS_BYTES_MAX, ' '))) {}
      }
      response.on('drain', write)
      write()
    })
    await expect(jsonOverHttp({ url })).rejects.toThrow('too much')
  })
})
