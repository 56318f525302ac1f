/** An issuer's keys where no public server has them: in a file, or at a server with its own authority that asks for a credential. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { JWKS_BYTES_MAX } from '../../../src/kernel/limits.ts'
import { JWKS_COOLDOWN_MS, JWKS_FRESH_MS, JWKS_RETRY_MS } from '../../../src/kernel/outbound-limits.ts'
import type { KeyFiles, PublishingIssuer } from '../../../src/model/issuer.ts'
import { createGuardedFetch } from '../../../src/net/guarded-fetch.ts'
import { IssuerKeys } from '../../../src/net/issuer-keys.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { kubernetes } from '../../support/platforms/kubernetes.ts'
import { type PlatformFixture, platformKeys } from '../../support/platforms/platform.ts'

const CREDENTIAL = 'discovery-credential'
const rotated: PlatformFixture = { ...kubernetes, kid: 'after-rotation' }
const header = ({ kid, alg }: PlatformFixture) => ({ kid, alg })

let directory: string
let server: Server
let jwksUri: string
let authority: string
let nowMs = 1_795_000_000_000
const asked: (string | undefined)[] = []

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-keys-'))
  const made = await makeAuthority()
  const { certificate, key } = await made.issue({ names: ['127.0.0.1'] })
  authority = made.certificate
  server = createServer({ cert: certificate, key }, (request, response) => {
    asked.push(request.headers.authorization)
    response.writeHead(request.headers.authorization === `Bearer ${CREDENTIAL}` ? 200 : 401, {
      'content-type': 'application/jwk-set+json',
    })
    response.end(JSON.stringify(platformKeys(kubernetes)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  jwksUri = `https://127.0.0.1:${(server.address() as AddressInfo).port}/openid/v1/jwks`
})
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  rmSync(directory, { recursive: true, force: true })
})

function written(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

const keys = () =>
  new IssuerKeys({ fetchJson: createGuardedFetch({ allowLoopback: true }), clock: { nowMs: () => nowMs } })
const issuer = (files: KeyFiles, over: Partial<PublishingIssuer> = {}): PublishingIssuer => ({
  issuer: kubernetes.issuer,
  slug: 'cluster',
  jwksUri: undefined,
  algorithms: ['RS256'],
  otherHosts: [],
  files,
  ...over,
})

describe('in a file', () => {
  it('keys are read without any network, and again for a key that is not among them', async () => {
    const path = written('jwks.json', JSON.stringify(platformKeys(kubernetes)))
    const reader = keys()
    const cluster = issuer({ jwks: path })
    expect((await reader.keysFor(cluster, header(kubernetes))).select(kubernetes.kid, 'RS256')).toBeDefined()
    written('jwks.json', JSON.stringify(platformKeys(rotated)))
    nowMs += JWKS_COOLDOWN_MS
    const after = await reader.keysFor(cluster, header(rotated))
    expect(after.select(rotated.kid, 'RS256')).toBeDefined()
    expect(after.select(kubernetes.kid, 'RS256')).toBeUndefined()
  })

  it.each([
    ['no JSON', 'keys'],
    ['a member twice', '{"keys":[],"keys":[]}'],
    ['a private key', '{"keys":[{"kty":"oct","k":"AAAA"}]}'],
    ['more than any set is', `{"keys":[],"x":"${'a'.repeat(JWKS_BYTES_MAX)}"}`],
  ])('%s: there are no keys, and the old ones serve on', async (_name, text) => {
    const path = written('changing.json', text)
    const reader = keys()
    await expect(reader.keysFor(issuer({ jwks: path }), header(kubernetes))).rejects.toMatchObject({
      reason: 'subject_issuer_unavailable',
    })
    written('changing.json', JSON.stringify(platformKeys(kubernetes)))
    nowMs += JWKS_RETRY_MS
    await reader.keysFor(issuer({ jwks: path }), header(kubernetes))
    written('changing.json', text)
    nowMs += JWKS_FRESH_MS
    const kept = await reader.keysFor(issuer({ jwks: path }), header(kubernetes))
    expect(kept.select(kubernetes.kid, 'RS256')).toBeDefined()
  })

  it('one that is not there, or is a directory', async () => {
    for (const jwks of [join(directory, 'absent.json'), directory]) {
      await expect(keys().keysFor(issuer({ jwks }), header(kubernetes))).rejects.toMatchObject({
        reason: 'subject_issuer_unavailable',
      })
    }
  })
})

describe('at a server of the cluster', () => {
  it('with its authority and our credential, as both are by now', async () => {
    const files = { ca: written('ca.crt', authority), credential: written('token', `${CREDENTIAL}\n`) }
    const found = await keys().keysFor(issuer(files, { jwksUri }), header(kubernetes))
    expect(found.select(kubernetes.kid, 'RS256')).toBeDefined()
    written('token', 'another')
    await expect(keys().keysFor(issuer(files, { jwksUri }), header(kubernetes))).rejects.toMatchObject({
      reason: 'subject_issuer_unavailable',
    })
  })

  it('not without its authority: then the credential is not shown either', async () => {
    asked.length = 0
    const credential = written('token', CREDENTIAL)
    const other = written('other.crt', (await makeAuthority()).certificate)
    for (const files of [{ credential }, { credential, ca: other }]) {
      await expect(keys().keysFor(issuer(files, { jwksUri }), header(kubernetes))).rejects.toMatchObject({
        reason: 'subject_issuer_unavailable',
      })
    }
    expect(asked).toEqual([])
  })
})
