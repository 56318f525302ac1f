/** Platforms and rules for their tokens: exact, about who a workload is, and about one client only. */
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { claimName, parseClaimPath } from '../../../src/registry/workloads/claim-path.ts'
import { problemsAfter, type Raw, registryAfter } from './document.ts'

const at = 'registry.yaml: '
const PLATFORM = { issuer: 'https://ci.example', slug: 'ci', platform: 'oidc', jwks_uri: 'https://ci.example/jwks' }

function withWorkloads(change: (document: Raw) => void): (document: Raw) => void {
  return (document) => {
    document.workload_issuers = [{ ...PLATFORM, audiences: ['errand'] }]
    document.agents[0].workloads = [{ issuer: 'ci', match: { sub: 'job/1' }, version: '7' }]
    change(document)
  }
}

describe('a claim is named', () => {
  test.each<[string, readonly string[] | undefined]>([
    ['sub', ['sub']],
    ['kubernetes.io', ['kubernetes.io']],
    ['/kubernetes.io/serviceaccount/uid', ['kubernetes.io', 'serviceaccount', 'uid']],
    ['/https:~1~1sts.amazonaws.com~1/aws_account', ['https://sts.amazonaws.com/', 'aws_account']],
    ['/~01', ['~1']],
    ['https://aws.example/a', ['https://aws.example/a']],
    ['', undefined],
    ['/', undefined],
    ['/a//b', undefined],
    ['/a/', undefined],
    ['/a~2', undefined],
    ['/a~', undefined],
  ])('%s', (text, path) => {
    expect(parseClaimPath(text)).toEqual(path)
    if (path !== undefined) expect(parseClaimPath(claimName(path))).toEqual(path)
  })
})

test('a platform and a rule become nouns: algorithms of the platform, audiences once, the client by its claims', () => {
  const registry = registryAfter(withWorkloads((d) => (d.workload_issuers[0].audiences = ['errand', 'errand'])))
  const issuer = registry.workloadIssuer('https://ci.example')
  expect(issuer).toMatchObject({ slug: 'ci', algorithms: ['RS256', 'ES256'], audiences: ['errand'] })
  if (issuer === undefined) throw new Error('no such platform')
  const found = registry.workloads(issuer, { sub: 'job/1', ref: 'main' })
  expect(found.map(({ client, version }) => [client.clientId, version])).toEqual([['orchestrator', '7']])
  expect(registry.workloads(issuer, { sub: 'job/2' })).toEqual([])
  expect(registry.workloadIssuer('https://ci.example/')).toBeUndefined()
})

test('keys may be discovered, or in a file that is named from where the document lies', () => {
  const registry = registryAfter(
    withWorkloads((d) => Object.assign(d.workload_issuers[0], { jwks_uri: undefined, jwks_file: 'keys/ci.json' })),
  )
  expect(registry.workloadIssuers[0]).toMatchObject({ jwksUri: undefined, files: { jwks: resolve('keys/ci.json') } })
  const discovered = registryAfter(withWorkloads((d) => (d.workload_issuers[0].jwks_uri = undefined)))
  expect(discovered.workloadIssuers[0]).toMatchObject({ jwksUri: undefined, files: { jwks: undefined } })
})

test('services may have workloads too, and rules that ask for different values of one claim do not meet', () => {
  const registry = registryAfter(
    withWorkloads((d) => {
      d.services[0].workloads = [{ issuer: 'ci', match: { sub: 'job/2' }, version: '1' }]
    }),
  )
  expect(registry.services[0]?.workloads).toHaveLength(1)
})

const rule = (match: object, issuer = 'ci') => ({ issuer, match, version: '1' })

test.each<[string, (document: Raw) => void, string]>([
  [
    'a rule for a platform that is not there',
    (d) => (d.agents[0].workloads[0].issuer = 'cl'),
    `${at}agents[0].workloads[0].issuer: no workload issuer is named cl; did you mean ci?`,
  ],
  [
    'a rule without claims',
    (d) => (d.agents[0].workloads[0].match = {}),
    `${at}agents[0].workloads[0].match: must name at least one claim`,
  ],
  [
    'a rule that any workload of a kind fulfils',
    (d) => (d.agents[0].workloads[0].match = { ref: 'main', team: 'data' }),
    `${at}agents[0].workloads[0].match: does not say who the workload is: name sub`,
  ],
  [
    'a rule about the token instead of the workload',
    (d) => (d.agents[0].workloads[0].match = { sub: 'job/1', aud: 'errand' }),
    `${at}agents[0].workloads[0].match.aud: says nothing of the workload`,
  ],
  [
    'a value of another type than the platform writes, which would match nobody',
    (d) => (d.agents[0].workloads[0].match = { sub: 42 }),
    `${at}agents[0].workloads[0].match.sub: must be a string, as the platform writes it`,
  ],
  [
    'two clients for one workload',
    (d) => (d.agents[1].workloads = [rule({ sub: 'job/1', ref: 'main' })]),
    `${at}agents[1].workloads[0].match: every token it matches is matched by ${at}agents[0].workloads[0] as well`,
  ],
  [
    'two versions of one client for one workload',
    (d) => d.agents[0].workloads.push(rule({ sub: 'job/1', ref: 'main' })),
    `${at}agents[0].workloads[1].match: every token it matches is matched by ${at}agents[0].workloads[0] as well`,
  ],
  [
    'a malformed path',
    (d) => (d.agents[0].workloads[0].match = { sub: 'job/1', '/a//b': 'x' }),
    `${at}agents[0].workloads[0].match./a//b: not a usable name: a claim, or a JSON Pointer such as /kubernetes.io/namespace`,
  ],
  [
    "a platform under an identity provider's slug",
    (d) => (d.workload_issuers[0].slug = 'corp'),
    `${at}workload_issuers[0].slug: already used by ${at}issuers[0]`,
  ],
  [
    'a platform twice',
    (d) => d.workload_issuers.push({ ...PLATFORM, slug: 'ci-2' }),
    `${at}workload_issuers[1].issuer: already used by ${at}workload_issuers[0]`,
  ],
  [
    'the broker itself as platform',
    (d) => (d.workload_issuers[0].issuer = 'https://errand.example'),
    `${at}workload_issuers[0].issuer: is the broker itself`,
  ],
  [
    "the platform's own audience (#44)",
    (d) => (d.workload_issuers[0].audiences = ['https://ci.example']),
    `${at}workload_issuers[0].audiences: https://ci.example is the platform itself, not this broker`,
  ],
  [
    "an audience of users' tokens of the same issuer",
    (d) => {
      d.workload_issuers[0].issuer = 'https://idp.example'
      d.agents[0].upstream = { corp: 'errand' }
    },
    `${at}workload_issuers[0].audiences: errand is an audience of users' tokens (${at}issuers[0])`,
  ],
  [
    'two places of keys',
    (d) => (d.workload_issuers[0].jwks_file = 'jwks.json'),
    `${at}workload_issuers[0].jwks_file: is one place too many: name it, or a jwks_uri`,
  ],
  [
    'an authority for whatever is discovered',
    (d) => Object.assign(d.workload_issuers[0], { jwks_uri: undefined, ca_file: 'ca.crt' }),
    `${at}workload_issuers[0].jwks_uri: is needed with ca_file and credential_file: what is discovered is not trusted with them`,
  ],
  [
    'a credential in plain',
    (d) => Object.assign(d.workload_issuers[0], { jwks_uri: 'http://127.0.0.1/jwks', credential_file: 'token' }),
    `${at}workload_issuers[0].jwks_uri: must be https where a credential is sent`,
  ],
])('%s is refused (#45, #46)', (_title, change, problem) => {
  expect(problemsAfter(withWorkloads(change))).toContain(problem)
})

test('a pattern is a value like any other: it matches itself only (#45)', () => {
  const registry = registryAfter(withWorkloads((d) => (d.agents[0].workloads = [rule({ sub: 'job/.*' })])))
  const issuer = registry.workloadIssuers[0]
  if (issuer === undefined) throw new Error('no platform')
  expect(registry.workloads(issuer, { sub: 'job/1' })).toEqual([])
  expect(registry.workloads(issuer, { sub: 'job/.*' })).toHaveLength(1)
})
