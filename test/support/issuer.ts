/**
 * A loopback identity provider's key server: publishes a JWKS over real HTTP, signs with its current key, rotates, counts
 * what it was asked, and misbehaves on demand.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Secret } from '../../src/kernel/secret.ts'
import type { Issuer } from '../../src/model/issuer.ts'
import { type Draft, publicJwk, sign, type TestAlg, type TestKey, testKey } from './keys.ts'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface TestIssuer {
  /** The issuer's registry entry: accepts ID tokens, access token scope is a ceiling. */
  readonly record: Issuer
  readonly url: string
  /** The key it signs with now. */
  readonly key: TestKey
  /** A token signed with the current key; `undefined` members are left out. */
  sign(claims: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Secret
  draft(claims: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Draft
  /** Signs with a new key from now on and publishes only that. */
  rotate(): TestKey
  /** Requests answered, and TCP connections opened, since start. */
  countRequests(): number
  countConnections(): number
  /** Answers like this instead of with its keys; `undefined`: behaves again. */
  misbehave(answer: Answer | undefined): void
  close(): Promise<void>
}

export async function startIssuer(options: { slug?: string; alg?: TestAlg } = {}): Promise<TestIssuer> {
  const slug = options.slug ?? 'idp'
  const alg = options.alg ?? 'ES256'
  let generation = 1
  let key = testKey(`${slug}-1`, alg)
  let requests = 0
  let connections = 0
  let misbehaviour: Answer | undefined

  const server = createServer((request, response) => {
    requests += 1
    if (misbehaviour !== undefined) return misbehaviour(request, response)
    answerJson(response, { keys: [publicJwk(key)] })
  })
  server.on('connection', () => {
    connections += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const draft = (claims: Readonly<Record<string, unknown>>, header: Readonly<Record<string, unknown>> = {}): Draft => ({
    key,
    header,
    claims: { iss: url, ...claims },
  })
  return {
    record: issuerRecord({ issuer: url, slug, jwksUri: `${url}/jwks`, algorithms: [alg] }),
    url,
    get key() {
      return key
    },
    draft,
    sign: (claims, header) => sign(draft(claims, header)),
    rotate() {
      generation += 1
      key = testKey(`${slug}-${generation}`, alg)
      return key
    },
    countRequests: () => requests,
    countConnections: () => connections,
    misbehave(answer) {
      misbehaviour = answer
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

export function answerJson(response: ServerResponse, document: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
}

export function issuerRecord(
  over: Partial<Issuer> & Pick<Issuer, 'issuer' | 'slug' | 'jwksUri' | 'algorithms'>,
): Issuer {
  return {
    acceptsIdTokens: true,
    accessTokenScope: 'ceiling',
    idJagScope: undefined,
    idJagTenant: undefined,
    otherAudiences: [],
    otherHosts: [],
    accessTokenTyp: 'at+jwt',
    introspection: undefined,
    brokerAudience: undefined,
    userAudience: undefined,
    adminAudience: undefined,
    users: 'listed',
    acceptsForeignActors: false,
    sessionMayOutliveSubject: false,
    givesAuthTime: true,
    riskClaim: undefined,
    ...over,
  }
}
