/** A loopback host of client metadata documents: serves what it is told at each path, and counts what it was asked for. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { publicJwk, type TestKey, testKey } from './keys.ts'

export interface ClientDocuments {
  readonly origin: string
  /** The client id whose document is good: keys inline. */
  readonly client: string
  readonly key: TestKey
  /** What the document of `client` says, changed; `undefined` removes a member. */
  document(change?: Readonly<Record<string, unknown>>): Record<string, unknown>
  /** From now on the path answers so. */
  serve(path: string, answer: unknown | ((request: IncomingMessage, response: ServerResponse) => void)): void
  /** Paths asked for, in their order, since the last call. */
  asked(): readonly string[]
  close(): Promise<void>
}

export async function startClientDocuments(): Promise<ClientDocuments> {
  const answers = new Map<string, unknown>()
  const paths: string[] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    paths.push(path)
    const answer = answers.get(path)
    if (typeof answer === 'function') return answer(request, response)
    if (answer === undefined) return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const key = testKey('document-key')
  const client = `${origin}/agents/report`
  const document = (change: Readonly<Record<string, unknown>> = {}) => ({
    client_id: client,
    client_name: 'Report writer',
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [publicJwk(key)] },
    ...change,
  })
  answers.set('/agents/report', document())
  return {
    origin,
    client,
    key,
    document,
    serve: (path, answer) => void answers.set(path, answer),
    asked: () => paths.splice(0),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
