import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { METADATA_BYTES_MAX } from '../../../src/kernel/limits.ts'
import { JWKS_COOLDOWN_MS, JWKS_FRESH_MS, JWKS_STALE_MS_MAX } from '../../../src/kernel/outbound-limits.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import type { PublishingIssuer } from '../../../src/model/issuer.ts'
import { Discovery, endpointOf, keyPlaceOf } from '../../../src/net/discovery.ts'
import { createGuardedFetch, type FetchJson } from '../../../src/net/guarded-fetch.ts'
import { IssuerKeys } from '../../../src/net/issuer-keys.ts'
import { type Answer, answerJson, startIssuer, type TestIssuer } from '../../support/issuer.ts'
import { publicJwk } from '../../support/keys.ts'
import { aWhile } from '../../support/patience.ts'

let idp: TestIssuer
let nowMs: number
let failures: { readonly slug: string; readonly error: unknown }[]
let keys: IssuerKeys
/** Paths that the provider was asked for. */
let asked: (string | undefined)[]

const provider = (over: Partial<PublishingIssuer> = {}): PublishingIssuer => ({
  issuer: idp.url,
  slug: 'idp',
  jwksUri: undefined,
  algorithms: undefined,
  otherHosts: [],
  ...over,
})

/** Answers discovery with this document, and every other path with the keys. */
function publish(document: unknown, wellKnown: Answer | undefined = undefined): void {
  idp.misbehave((request, response) => {
    asked.push(request.url)
    if (!request.url?.includes('/.well-known/')) return answerJson(response, { keys: [publicJwk(idp.key)] })
    if (wellKnown !== undefined) return wellKnown(request, response)
    answerJson(response, document)
  })
}
const good = () => ({ issuer: idp.url, jwks_uri: `${idp.url}/keys`, id_token_signing_alg_values_supported: ['ES256'] })

beforeEach(async () => {
  idp = await startIssuer()
  nowMs = 1_800_000_000_000
  failures = []
  asked = []
  keys = new IssuerKeys({
    fetchJson: createGuardedFetch({ allowLoopback: true }),
    clock: { nowMs: () => nowMs },
    onFailure: ({ slug }, error) => failures.push({ slug, error }),
  })
})
afterEach(() => idp.close())

const find = (over: Partial<PublishingIssuer> = {}, kid = idp.key.kid) =>
  keys.keysFor(provider(over), { kid, alg: 'ES256' })

async function refused(attempt: Promise<unknown>): Promise<Rejection> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(Rejection)
  return error as Rejection
}

describe('the keys of an issuer without jwks_uri', () => {
  it('are where its discovery document says: both are read once, however many ask, and kept', async () => {
    publish(good())
    const sets = await Promise.all(Array.from({ length: 20 }, () => find()))
    expect(sets.every((set) => set.select(idp.key.kid, 'ES256') !== undefined)).toBe(true)
    await find()
    expect(asked).toEqual(['/.well-known/openid-configuration', '/keys'])
  })

  it('are found below the path of an issuer, with and without a final slash', async () => {
    for (const path of ['/realms/main', '/tenant/']) {
      const issuer = `${idp.url}${path}`
      publish({ ...good(), issuer })
      expect((await find({ issuer })).size).toBe(1)
    }
    expect(asked.filter((path) => path !== '/keys')).toEqual([
      '/realms/main/.well-known/openid-configuration',
      '/tenant/.well-known/openid-configuration',
    ])
  })

  it('are looked for once more when a token names one that is new, without reading the document again', async () => {
    publish(good())
    await find()
    idp.rotate()
    nowMs += JWKS_COOLDOWN_MS
    expect((await find()).select(idp.key.kid, 'ES256')).toBeDefined()
    expect(asked).toEqual(['/.well-known/openid-configuration', '/keys', '/keys'])
  })

  it('move where the document moves them, once it has been read again', async () => {
    publish(good())
    await find()
    publish({ ...good(), jwks_uri: `${idp.url}/moved` })
    nowMs += JWKS_FRESH_MS
    await find()
    // Read in the background.
    await expect.poll(() => asked.filter((path) => path?.includes('well-known')).length).toBe(2)
    await aWhile(60)
    nowMs += JWKS_FRESH_MS
    await find()
    await expect.poll(() => asked.at(-1)).toBe('/moved')
  })

  it('serve while the document cannot be read, until the hard bound', async () => {
    publish(good())
    await find()
    publish(undefined, (_request, response) => response.writeHead(500).end())
    nowMs += JWKS_STALE_MS_MAX - 1
    expect((await find()).size).toBe(1)
    await aWhile(60)
    nowMs += JWKS_STALE_MS_MAX
    expect((await refused(find())).reason).toBe('subject_issuer_unavailable')
  })

  it.each([
    ['another issuer', (document: object) => ({ ...document, issuer: 'https://evil.example' })],
    ['the issuer with a slash more', (document: object) => ({ ...document, issuer: `${idp.url}/` })],
    ['the issuer in capitals', (document: object) => ({ ...document, issuer: idp.url.toUpperCase() })],
    ['no issuer', (document: object) => ({ ...document, issuer: undefined })],
    ['a list of issuers', (document: object) => ({ ...document, issuer: [idp.url] })],
    ['no jwks_uri', (document: object) => ({ ...document, jwks_uri: undefined })],
    ['a jwks_uri that is no URL', (document: object) => ({ ...document, jwks_uri: '/keys' })],
    ['keys on another host', (document: object) => ({ ...document, jwks_uri: 'https://evil.example/keys' })],
    ['keys on another port', (document: object) => ({ ...document, jwks_uri: 'http://127.0.0.1:1/keys' })],
    ['keys at a metadata service', (document: object) => ({ ...document, jwks_uri: 'http://169.254.169.254/keys' })],
    [
      'symmetric algorithms only',
      (document: object) => ({ ...document, id_token_signing_alg_values_supported: ['HS256', 'none'] }),
    ],
    [
      'algorithms that are no list',
      (document: object) => ({ ...document, id_token_signing_alg_values_supported: 'ES256' }),
    ],
    ['nothing but a list', () => ['ES256']],
  ])('are unavailable when the document has %s, and no keys are asked for', async (_what, change) => {
    publish(change(good()))
    expect((await refused(find())).reason).toBe('subject_issuer_unavailable')
    expect(asked).toEqual(['/.well-known/openid-configuration'])
    // What the stranger wrote is not for the log.
    expect(inspect(failures, { depth: 10 })).not.toContain('evil')
  })

  it.each([
    ['redirects', (_request, response) => response.writeHead(302, { location: '/other' }).end()],
    ['answers HTML', (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')],
    [
      'is larger than any',
      (_request, response) => answerJson(response, { ...good(), pad: 'x'.repeat(METADATA_BYTES_MAX) }),
    ],
    ['breaks off', (request) => request.socket.destroy()],
    [
      'has its members twice',
      (_request, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"issuer":"a","issuer":"b"}'),
    ],
  ] satisfies [string, Answer][])('are unavailable when the document %s', async (_what, answer) => {
    publish(undefined, answer)
    expect((await refused(find())).reason).toBe('subject_issuer_unavailable')
    expect(asked).toEqual(['/.well-known/openid-configuration'])
  })

  it('are for the algorithms that its entry writes, whatever the document lists', async () => {
    publish({ ...good(), id_token_signing_alg_values_supported: ['RS256', 'ES256', 'HS256', 'none'] })
    expect((await find({ algorithms: ['RS256'] })).size).toBe(0)
    expect((await find({ algorithms: ['ES256'] })).size).toBe(1)
  })

  it('are one issuer’s trouble: another that is well is read meanwhile', async () => {
    publish(undefined, () => undefined) // never answers
    const hanging = refused(find())
    const other = await startIssuer({ slug: 'other' })
    try {
      const set = await keys.keysFor(other.record, { kid: 'other-1', alg: 'ES256' })
      expect(set.size).toBe(1)
    } finally {
      idp.misbehave(undefined)
      await other.close()
    }
    expect((await hanging).reason).toBe('subject_issuer_unavailable')
  })
})

describe('hosts that a discovery document may point to', () => {
  const google = { issuer: 'https://accounts.google.com', otherHosts: ['www.googleapis.com'] }
  const at = (jwks_uri: string) => ({ issuer: google.issuer, jwks_uri }) as never

  it('are the issuer’s own origin and those its entry lists, over the issuer’s own scheme', () => {
    for (const uri of ['https://accounts.google.com/keys', 'https://www.googleapis.com/oauth2/v3/certs']) {
      expect(endpointOf(at(uri), 'jwks_uri', google)).toBe(uri)
    }
  })

  it.each([
    'http://accounts.google.com/keys',
    'http://www.googleapis.com/oauth2/v3/certs',
    'https://accounts.google.com:444/keys',
    'https://www.googleapis.com:8443/certs',
    'https://googleapis.com/certs',
    'https://accounts.google.com.evil.example/keys',
    'https://accounts.google.com@evil.example/keys',
    'data:application/json,{"keys":[]}',
    'file:///etc/passwd',
  ])('are not %s', (uri) => expect(() => endpointOf(at(uri), 'jwks_uri', google)).toThrow(/other_hosts|no jwks_uri/))

  it('answer nothing by themselves: without algorithms listed, the two that everyone has are meant', () => {
    expect(keyPlaceOf(at('https://accounts.google.com/keys'), google).algorithms).toEqual(['ES256', 'RS256'])
  })
})

describe('providers that openid-client makes exceptions for', () => {
  it.each([
    ['https://login.microsoftonline.com/common/v2.0', 'https://login.microsoftonline.com/{tenantid}/v2.0'],
    ['https://contoso.b2clogin.com/contoso/v2.0', 'https://login.microsoftonline.com/contoso/v2.0'],
  ])('are held to their name, too: %s', async (issuer, named) => {
    const fetchJson: FetchJson = async () => ({ issuer: named, jwks_uri: `${issuer}/keys` })
    const discovery = new Discovery({ fetchJson, clock: { nowMs: () => nowMs } })
    const error = await discovery.metadataOf({ issuer, otherHosts: [] }).catch((thrown: unknown) => thrown)
    expect(inspect(error)).toContain('names another issuer')
  })
})
