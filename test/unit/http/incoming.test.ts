import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bodyOf, headerOf, peerOf, queryNames, takeBody } from '../../../src/http/incoming.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'

describe('a request on a socket', () => {
  let server: Server
  let seen: Promise<unknown>
  let look: (context: Context) => unknown

  beforeEach(async () => {
    const app = new Hono()
    seen = new Promise((resolve) => {
      app.all('*', async (context) => {
        try {
          resolve(await look(context))
        } catch (error) {
          resolve(error)
        }
        return context.text('')
      })
    })
    server = createServer(getRequestListener(app.fetch))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  const send = (text: string, andEnd = false) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(text)
    if (andEnd) setTimeout(() => socket.destroy(), 30)
    return socket
  }
  const post = (headers: string, body: string) =>
    `POST /token?a=1&b&a=2 HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`

  it('shows a repeated header as both of its values, in any case (RFC 9110 §5.3)', async () => {
    look = (context) =>
      ['x-forwarded-for', 'authorization', 'content-type', 'absent'].map((name) => headerOf(context, name))
    const socket = send(
      post(
        'X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\nAuthorization: Basic a\r\nAUTHORIZATION: Bearer b\r\nContent-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 0',
        '',
      ),
    )
    expect(await seen).toEqual(['1.1.1.1, 2.2.2.2', 'Basic a, Bearer b', 'a/b, c/d', undefined])
    socket.destroy()
  })

  it('names its peer and its query', async () => {
    look = (context) => [peerOf(context), [...queryNames(context)]]
    const socket = send(post('Content-Length: 0', ''))
    expect(await seen).toEqual(['127.0.0.1', ['a', 'b', 'a']])
    socket.destroy()
  })

  it('gives a body in any number of chunks, to the byte that is one too many', async () => {
    look = async (context) => {
      const bytes = await bodyOf(context, 6)
      return bytes === undefined ? 'too many' : Buffer.from(bytes).toString()
    }
    const socket = send(post('Transfer-Encoding: chunked', '3\r\nabc\r\n'))
    setTimeout(() => socket.write('3\r\ndef\r\n0\r\n\r\n'), 20)
    expect(await seen).toBe('abcdef')
    socket.destroy()
  })

  it('gives a long body piece by piece while it comes in, and nothing of what is too many', async () => {
    const taken: string[] = []
    let isNext: () => void
    const next = new Promise<void>((resolve) => {
      isNext = resolve
    })
    look = (context) =>
      takeBody(context, 6, (chunk) => {
        taken.push(Buffer.from(chunk).toString())
        isNext()
      })
    const socket = send(post('Transfer-Encoding: chunked', '3\r\nabc\r\n'))
    await next
    expect(taken).toEqual(['abc'])
    socket.write('4\r\ndefg\r\n')
    expect(await seen).toBe(false)
    expect(taken).toEqual(['abc'])
    socket.destroy()
  })

  it('fails with whoever takes it, and nobody else does', async () => {
    const fault = new Error('no thread can be started')
    const taken: number[] = []
    look = (context) =>
      takeBody(context, 6, (chunk) => {
        taken.push(chunk.byteLength)
        throw fault
      })
    const socket = send(post('Transfer-Encoding: chunked', '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'))
    expect(await seen).toBe(fault)
    expect(taken).toEqual([3])
    socket.destroy()
  })

  it('stops reading at the first byte too many, while more keeps coming', async () => {
    look = async (context) => (await bodyOf(context, 6)) ?? 'too many'
    const socket = send(post('Transfer-Encoding: chunked', '7\r\nabcdefg\r\n'))
    expect(await seen).toBe('too many')
    socket.destroy()
  })

  it('is refused as malformed, not as a fault, when its sender goes away in the middle of the body', async () => {
    look = (context) => bodyOf(context, 100)
    send(post('Content-Length: 50', 'abc'), true)
    const error = await seen
    expect(error).toBeInstanceOf(Rejection)
    expect((error as Rejection).reason).toBe('body_malformed')
  })
})
