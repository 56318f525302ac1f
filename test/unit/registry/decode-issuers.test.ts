import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { problemsAfter, registryAfter } from './document.ts'

const at = 'registry.yaml: issuers[0]'
// biome-ignore lint/suspicious/noExplicitAny: documents are edited freely
type Draft = any
const decoded = (edit: (issuer: Draft) => void) =>
  registryAfter((d) => edit(d.issuers[0])).issuer('https://idp.example')
const problems = (edit: (issuer: Draft) => void) => problemsAfter((d) => edit(d.issuers[0]))

describe('whom an issuer’s tokens are for', () => {
  test('is never the same for agents and for users themselves', () => {
    const both = (issuer: Draft) => Object.assign(issuer, { broker_audience: 'errand', user_audience: 'errand' })
    expect(problems(both)).toEqual([
      `${at}.broker_audience: is also user_audience; what agents hold must not pass for what users hold`,
    ])
    expect(decoded((issuer) => (issuer.broker_audience = 'api://errand'))?.brokerAudience).toBe('api://errand')
  })
})

describe('how opaque tokens are asked about', () => {
  const introspection = (entry: object) => (issuer: Draft) => (issuer.introspection = { client_id: 'errand', ...entry })

  test('is by a secret or a private key in a file beside the document, at the endpoint written or discovered', () => {
    expect(decoded(introspection({ client_secret_file: '/run/errand/idp' }))?.introspection).toEqual({
      clientId: 'errand',
      endpoint: undefined,
      method: 'client_secret_basic',
      credentialFile: '/run/errand/idp',
    })
    const key = { private_key_file: 'idp.jwk.json', endpoint: 'https://idp.example/introspect' }
    expect(decoded(introspection(key))?.introspection).toEqual({
      clientId: 'errand',
      endpoint: 'https://idp.example/introspect',
      method: 'private_key_jwt',
      credentialFile: resolve('idp.jwk.json'),
    })
  })

  test('needs exactly one credential, and never one that is written out', () => {
    const one = `${at}.introspection: needs exactly one of client_secret_file and private_key_file`
    expect(problems(introspection({}))).toEqual([one])
    expect(problems(introspection({ client_secret_file: 'a', private_key_file: 'b' }))).toEqual([one])
    expect(problems(introspection({ client_secret: 'hunter2' }))[0]).toMatch(
      /introspection\.client_secret: unknown key/,
    )
    expect(problems(introspection({ client_secret_file: 'a', endpoint: 'http://idp.example/' }))[0]).toMatch(
      /must be https/,
    )
  })
})

describe('where an issuer’s keys are', () => {
  test('is its jwks_uri, for RS256 and ES256 unless algorithms are written', () => {
    const jwksUri = 'https://idp.example/jwks'
    expect(decoded((issuer) => delete issuer.algorithms)).toMatchObject({ jwksUri, algorithms: ['RS256', 'ES256'] })
    expect(decoded((issuer) => (issuer.algorithms = ['PS256', 'PS256']))).toMatchObject({ algorithms: ['PS256'] })
  })

  test('is left to discovery where no jwks_uri is written, its algorithms too unless they are', () => {
    const discovered = (issuer: Draft) => {
      delete issuer.jwks_uri
      delete issuer.algorithms
    }
    expect(decoded(discovered)).toMatchObject({ jwksUri: undefined, algorithms: undefined, otherHosts: [] })
    const written = (issuer: Draft) => {
      discovered(issuer)
      Object.assign(issuer, { algorithms: ['RS256'], other_hosts: ['www.googleapis.com'] })
    }
    expect(decoded(written)).toMatchObject({
      jwksUri: undefined,
      algorithms: ['RS256'],
      otherHosts: ['www.googleapis.com'],
    })
  })

  test('is not discovered from an identifier with a query, nor from hosts that no URL spells so', () => {
    const query = problems((issuer) => {
      delete issuer.jwks_uri
      issuer.issuer = 'https://idp.example?tenant=1'
    })
    expect(query).toContain(`${at}.jwks_uri: is needed: an issuer with a query has no discovery document`)
    for (const host of ['https://a.example', 'A.example', 'a.example/', 'a.example:443', '*.example', '']) {
      expect(problems((issuer) => (issuer.other_hosts = [host]))[0]).toMatch(/other_hosts\[0\]: must be a host/)
    }
  })
})
