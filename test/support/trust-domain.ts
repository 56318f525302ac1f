/**
 * A SPIFFE trust domain on loopback: an authority that signs SVIDs, and the bundle endpoint that publishes its keys over real
 * HTTPS, rotates, counts what it was asked, and misbehaves on demand.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Authority, makeAuthority } from './certificates.ts'
import { type Answer, answerJson } from './issuer.ts'
import { sign, type TestAlg, type TestKey, testKey } from './keys.ts'

type Members = Readonly<Record<string, unknown>>

export interface TestTrustDomain {
  readonly name: string
  readonly url: string
  /** PEM file of the authority that its endpoint's certificate is from. */
  readonly caFile: string
  /** The key it signs with now. */
  readonly key: TestKey
  /** What the endpoint answers: its own bundle, until it is changed. */
  bundle: Members
  /** A registry entry that reads the bundle from the endpoint. */
  readonly entry: Members
  readonly id: (path: string) => string
  /** An SVID of this workload for the audience, valid for a minute; `undefined` members are left out. */
  svid(path: string, aud: string, claims?: Members, header?: Members): string
  /** Signs with a new key from now on, and publishes only that, under the next number. */
  rotate(): TestKey
  /** Its endpoint shows this certificate from now on. */
  identify(identity: { readonly certificate: string; readonly key: string }): void
  countRequests(): number
  /** Answers like this instead of with its bundle; `undefined`: behaves again. */
  misbehave(answer: Answer | undefined): void
  close(): Promise<void>
}

export interface TrustDomainOptions {
  readonly alg?: TestAlg
  /** The `kid` of its keys, whatever their number: another domain may have the same. */
  readonly kid?: string
  /** Epoch seconds; a test's own clock. */
  readonly now?: () => number
}

let authority: Promise<Authority> | undefined

export function jwtAuthority({ publicKey }: TestKey, kid: string): Members {
  return { ...publicKey.export({ format: 'jwk' }), kid, use: 'jwt-svid' }
}

export async function startTrustDomain(name: string, options: TrustDomainOptions = {}): Promise<TestTrustDomain> {
  const { alg = 'ES256', kid = 'authority', now = () => Math.floor(Date.now() / 1000) } = options
  authority ??= makeAuthority()
  const directory = mkdtempSync(join(tmpdir(), 'errand-spiffe-'))
  const caFile = join(directory, 'ca.pem')
  const issued = await (await authority).issue({})
  writeFileSync(caFile, (await authority).certificate)
  let generation = 1
  let key = testKey(`${name}-1`, alg)
  let requests = 0
  let misbehaviour: Answer | undefined

  const server = createServer({ cert: issued.certificate, key: issued.key }, (request, response) => {
    requests += 1
    if (misbehaviour !== undefined) return misbehaviour(request, response)
    answerJson(response, domain.bundle)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/bundle.json`

  const domain: TestTrustDomain = {
    name,
    url,
    caFile,
    bundle: { spiffe_sequence: 1, spiffe_refresh_hint: 60, keys: [jwtAuthority(key, kid)] },
    entry: { name, bundle_endpoint: { url, ca_file: caFile } },
    id: (path) => `spiffe://${name}${path}`,
    get key() {
      return key
    },
    svid: (path, aud, claims = {}, header = {}) =>
      sign({
        key,
        header: { kid, typ: 'JWT', ...header },
        claims: { sub: `spiffe://${name}${path}`, aud: [aud], iat: now(), exp: now() + 300, ...claims },
      }).reveal(),
    rotate() {
      generation += 1
      key = testKey(`${name}-${generation}`, alg)
      domain.bundle = { ...domain.bundle, spiffe_sequence: generation, keys: [jwtAuthority(key, kid)] }
      return key
    },
    identify: ({ certificate, key: ofIt }) => server.setSecureContext({ cert: certificate, key: ofIt }),
    countRequests: () => requests,
    misbehave(answer) {
      misbehaviour = answer
    },
    close: () =>
      new Promise((resolve) => {
        rmSync(directory, { recursive: true, force: true })
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
  return domain
}
