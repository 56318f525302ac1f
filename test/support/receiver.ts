/** Somebody else's HTTP server on loopback that is sent things: keeps every request as it came, and misbehaves on demand. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export type Reply = (response: ServerResponse, received: Received) => void

export interface Receiver {
  readonly url: string
  /** Whatever came, oldest first, however it was answered. */
  readonly all: Received[]
  /** `undefined`: 200 and an empty object, as by default. */
  reply(reply: Reply | undefined): void
  close(): Promise<void>
}

export const status =
  (code: number, headers: Readonly<Record<string, string>> = {}): Reply =>
  (response) =>
    void response.writeHead(code, { 'content-type': 'application/json', ...headers }).end('{}')

export const never: Reply = () => undefined

export async function startReceiver(port = 0): Promise<Receiver> {
  const all: Received[] = []
  const taken = status(200)
  let reply = taken
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const received = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() }
    all.push(received)
    reply(response, received)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    all,
    reply: (given) => {
      reply = given ?? taken
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
