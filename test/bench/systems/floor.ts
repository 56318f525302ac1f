/**
 * The floor: what no broker can go below. A bare HTTP server that reads the body and does the signature operations of the
 * workload, and nothing else: the client assertion is verified, the subject token too unless it has been seen before, an
 * access token is signed. No parsing, no policy, no store, no audit; tokens are found in the body by searching for their names.
 */
import { createPublicKey, type JsonWebKey, type KeyObject, sign, verify } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { derFromP1363, p1363FromDer } from '../../../src/jose/ecdsa-form.ts'
import { keyPair } from '../company.ts'
import { answerCalls } from '../rpc.ts'
import { usageHandlers } from '../usage.ts'

export interface FloorOrder {
  readonly idpKey: JsonWebKey
  /** By client id. */
  readonly agentKeys: Readonly<Record<string, JsonWebKey>>
}

const CURVE = 'P-256'
const ACCESS_TOKEN_SECONDS = 300

answerCalls({
  ...usageHandlers(),
  start: async ({ idpKey, agentKeys }: FloorOrder): Promise<{ port: number }> => {
    const signer = keyPair('floor-key')
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: signer.kid, typ: 'at+jwt' })).toString('base64url')
    const idp = publicKey(idpKey)
    const agents = new Map(Object.entries(agentKeys).map(([id, jwk]) => [id, publicKey(jwk)]))
    const seen = new Set<string>()

    const exchange = async (body: string): Promise<string> => {
      const assertion = parameter(body, 'client_assertion=')
      const subject = parameter(body, 'subject_token=')
      const { sub } = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString())
      const checks = [verified(assertion, agents.get(sub))]
      if (!seen.has(subject)) checks.push(verified(subject, idp))
      if ((await Promise.all(checks)).includes(false)) throw new Error('a signature does not verify')
      seen.add(subject)
      const now = Math.floor(Date.now() / 1000)
      const claims = { iss: 'floor', sub, aud: 'floor', iat: now, exp: now + ACCESS_TOKEN_SECONDS }
      return signed(`${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`, signer.privateKey)
    }

    const server = createServer((request, response) => {
      if (request.method === 'GET') return answer(response, 200, { keys: [signer.publicJwk] })
      readBody(request)
        .then(exchange)
        .then(
          (token) => answer(response, 200, { access_token: token, token_type: 'Bearer' }),
          (fault: Error) => answer(response, 500, { error: fault.message }),
        )
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { port: (server.address() as AddressInfo).port }
  },
})

function publicKey(jwk: JsonWebKey): KeyObject {
  return createPublicKey({ key: jwk, format: 'jwk' })
}

function parameter(body: string, name: string): string {
  const start = body.indexOf(`&${name}`) + name.length + 1
  const end = body.indexOf('&', start)
  return body.slice(start, end < 0 ? body.length : end)
}

function verified(token: string, key: KeyObject | undefined): Promise<boolean> {
  const dot = token.lastIndexOf('.')
  const der = derFromP1363(Buffer.from(token.slice(dot + 1), 'base64url'), CURVE)
  if (key === undefined || der === undefined) return Promise.resolve(false)
  return new Promise((resolve) => {
    verify('sha256', Buffer.from(token.slice(0, dot)), key, der, (fault, valid) => resolve(fault === null && valid))
  })
}

function signed(input: string, key: KeyObject): Promise<string> {
  return new Promise((resolve, reject) => {
    sign('sha256', Buffer.from(input), key, (fault, der) =>
      fault === null ? resolve(`${input}.${p1363FromDer(der, CURVE).toString('base64url')}`) : reject(fault),
    )
  })
}

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let body = ''
    request.setEncoding('latin1')
    request.on('data', (text: string) => {
      body += text
    })
    request.on('end', () => resolve(body))
    request.on('error', reject)
  })
}

function answer(response: ServerResponse, status: number, document: unknown): void {
  const body = JSON.stringify(document)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
}
