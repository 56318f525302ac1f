/**
 * Bundle endpoints that are known by their SPIFFE ID (SPIFFE Federation §5.2.2, `https_spiffe`): by the bundle of their own
 * domain, never by their URL's name or the authorities of the system; and what a registry may say of trust domains.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import { type Shape, TestAuthority } from '../support/authorities.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { testKey } from '../support/keys.ts'
import { expectRefused, invalidClient, toStranger } from '../support/refusal.ts'
import { jwtAuthority, startTrustDomain, type TestTrustDomain } from '../support/trust-domain.ts'
import { type Answer, registryDocument, startWorld, type World } from '../support/world.ts'

type Members = Record<string, unknown>

const LATER = toStranger({ status: 503, error: 'temporarily_unavailable', reason: 'client_keys_unavailable' })
const SERVER = 'spiffe://one.example/spire/server'

let idp: TestIssuer
let domain: TestTrustDomain
let root: TestAuthority
let world: World
let directory: string
let firstFile: string

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-federation-'))
  firstFile = join(directory, 'first.json')
  idp = await startIssuer({ slug: 'corp' })
  domain = await startTrustDomain('one.example', { now: () => world.now() })
  root = await TestAuthority.root({ uris: ['spiffe://one.example'] })
  publish(5, root)
  first(5, root)
  domain.identify(await root.issue({ uris: [SERVER] }))
  world = await worldOf({})
})
afterEach(async () => {
  await Promise.all([world.close(), domain.close()])
  await idp.close()
  rmSync(directory, { recursive: true, force: true })
})

const x509Authority = ({ der }: TestAuthority): Members => ({ use: 'x509-svid', x5c: [der.toString('base64')] })
const bundleOf = (spiffe_sequence: number, authorities: readonly TestAuthority[]): Members => ({
  spiffe_sequence,
  spiffe_refresh_hint: 10,
  keys: [jwtAuthority(domain.key, 'authority'), ...authorities.map(x509Authority)],
})
/** What the endpoint answers, and what the operator has been given at first. */
const publish = (sequence: number, ...authorities: readonly TestAuthority[]): void => {
  domain.bundle = bundleOf(sequence, authorities)
}
const first = (sequence: number, ...authorities: readonly TestAuthority[]): void =>
  writeFileSync(firstFile, JSON.stringify(bundleOf(sequence, authorities)))

function worldOf(more: Members): Promise<World> {
  const bundle_endpoint = { profile: 'https_spiffe', url: domain.url, spiffe_id: SERVER, ...more }
  const trust_domains = [{ name: 'one.example', bundle_file: firstFile, bundle_endpoint }]
  const agents = (registryDocument(idp)['agents'] as Members[]).map((agent) =>
    agent['client_id'] === 'orchestrator'
      ? { ...agent, spiffe_ids: [{ id: 'spiffe://one.example/agent', version: '1' }] }
      : agent,
  )
  return startWorld({ issuer: idp, registry: { trust_domains, agents } })
}

const ask = (): Promise<Answer> =>
  world.post('/token', {
    grant_type: 'client_credentials',
    resource: `${world.issuer}/api`,
    scope: 'sessions',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
    client_assertion: domain.svid('/agent', world.issuer),
  })
const accepted = async (): Promise<void> => {
  const { status, body } = await ask()
  expect(status, JSON.stringify(body)).toBe(200)
}

describe('an endpoint known by its SPIFFE ID', () => {
  test('is whom the first bundle says, whatever its URL is called', async () => {
    await accepted()
    expect(domain.countRequests()).toBe(1)
  })

  test('may have an authority that is no root', async () => {
    const between = await root.intermediate({ uris: ['spiffe://one.example'] })
    publish(5, between)
    first(5, between)
    domain.identify(await between.issue({ uris: [SERVER] }))
    await accepted()
  })

  test('is known by the bundle fetched last: authorities rotate over it, a withdrawn one opens nothing more', async () => {
    await accepted()
    const next = await TestAuthority.root({ uris: ['spiffe://one.example'] })
    publish(6, root, next)
    await world.advance(20)
    await accepted()
    domain.identify(await next.issue({ uris: [SERVER] }))
    publish(7, next)
    await world.advance(20)
    await accepted()
    expect(domain.countRequests()).toBe(3)
    // It still stands in the first bundle.
    domain.identify(await root.issue({ uris: [SERVER] }))
    publish(8, root)
    await world.advance(20)
    await accepted()
    await world.advance(3600)
    await expectRefused(world, ask, LATER)
    expect(domain.countRequests()).toBe(3)
  })

  const impostors: readonly (readonly [string, Shape])[] = [
    ['another workload of the domain', { uris: ['spiffe://one.example/spire/agent'] }],
    ['a workload below', { uris: [`${SERVER}/child`] }],
    ['another domain', { uris: ['spiffe://two.example/spire/server'] }],
    ['the domain itself', { uris: ['spiffe://one.example'] }],
    ['two workloads', { uris: [SERVER, 'spiffe://one.example/other'] }],
    ['a host by name', { dns: ['localhost'] }],
    ['a host called like the workload', { dns: [`x, URI:${SERVER}`] }],
    ['nobody', {}],
    ['an authority', { uris: [SERVER], ca: true, usages: ['digitalSignature', 'keyCertSign'] }],
    ['the workload of yesterday', { uris: [SERVER], from: -48, until: -24 }],
    ['the workload of tomorrow', { uris: [SERVER], from: 24, until: 48 }],
  ]
  test.each(impostors)('is not believed as %s', async (_, shape) => {
    domain.identify(await root.issue(shape))
    await expectRefused(world, ask, LATER)
    expect(domain.countRequests()).toBe(0)
  })

  test('is not believed by an authority outside the bundle', async () => {
    const stranger = await TestAuthority.root({ uris: ['spiffe://one.example'], subject: root.subject })
    domain.identify(await stranger.issue({ uris: [SERVER] }))
    await expectRefused(world, ask, LATER)
    expect(domain.countRequests()).toBe(0)
  })

  test('is not asked where the first bundle has no authority, or is not there: the system’s are not asked instead', async () => {
    first(5)
    await expectRefused(world, ask, LATER)
    rmSync(firstFile)
    await world.advance(1)
    await expectRefused(world, ask, LATER)
    expect(domain.countRequests()).toBe(0)
    first(5, root)
    await world.advance(1)
    await accepted()
  })

  test('#41 does not go behind the first bundle, which itself vouches for nobody', async () => {
    publish(4, root)
    await expectRefused(world, ask, LATER)
    publish(6, root)
    domain.bundle = { ...domain.bundle, keys: [x509Authority(root), jwtAuthority(testKey('next'), 'authority')] }
    await world.advance(1)
    await expectRefused(world, ask, invalidClient('client_assertion_signature'))
  })
})

describe('the registry', () => {
  const agent = (...ids: readonly string[]) => ({
    client_id: `a-${ids.length}`,
    owner: 'o',
    environment: 'test',
    spiffe_ids: ids.map((id) => ({ id, version: '1' })),
  })
  const problems = (document: Members): string => {
    try {
      decodeRegistry(document, 'registry.yaml', { issuer: 'https://errand.example' })
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  const one = (more: Members): Members => ({ trust_domains: [{ name: 'one.example', ...more }] })
  const https = 'https://spire.example/bundle'

  test('takes a file, an https_web endpoint, or an https_spiffe one with its first bundle', () => {
    for (const source of [
      { bundle_file: './b.json' },
      { bundle_endpoint: { url: https } },
      { bundle_endpoint: { url: https, profile: 'https_web', ca_file: 'ca.pem' } },
      { bundle_file: 'b.json', bundle_endpoint: { url: https, profile: 'https_spiffe', spiffe_id: SERVER } },
    ]) {
      expect(problems(one(source))).toBe('')
    }
  })

  test.each<[string, Members, string]>([
    ['no source', {}, 'either a bundle_file or a bundle_endpoint'],
    ['two sources', { bundle_file: 'b', bundle_endpoint: { url: https } }, 'either a bundle_file or a bundle_endpoint'],
    ['plain http', { bundle_endpoint: { url: 'http://spire.example' } }, 'must be https'],
    ['a user in the URL', { bundle_endpoint: { url: 'https://u:p@spire.example' } }, 'user name or password'],
    ['an unknown profile', { bundle_endpoint: { url: https, profile: 'https_any' } }, 'https_web'],
    ['a SPIFFE ID with web PKI', { bundle_endpoint: { url: https, spiffe_id: SERVER } }, 'unknown key'],
    [
      'no first bundle',
      { bundle_endpoint: { url: https, profile: 'https_spiffe', spiffe_id: SERVER } },
      'needs a bundle_file',
    ],
    [
      'an endpoint of another domain',
      {
        bundle_file: 'b',
        bundle_endpoint: { url: https, profile: 'https_spiffe', spiffe_id: 'spiffe://two.example/x' },
      },
      'a workload of one.example',
    ],
    [
      'an endpoint that is no workload',
      { bundle_file: 'b', bundle_endpoint: { url: https, profile: 'https_spiffe', spiffe_id: 'spiffe://one.example' } },
      'a workload of one.example',
    ],
    ['a scheme in the name', { name: 'spiffe://one.example', bundle_file: 'b' }, 'without spiffe://'],
    ['capitals in the name', { name: 'One.example', bundle_file: 'b' }, 'must be a trust domain'],
  ])('refuses %s', (_, more, problem) => {
    expect(problems(one(more))).toContain(problem)
  })

  test('refuses one name twice, one workload twice, patterns, and workloads nobody vouches for', () => {
    const trust_domains = [{ name: 'one.example', bundle_file: 'b' }]
    const id = 'spiffe://one.example/x'
    expect(problems({ trust_domains, agents: [agent(id)] })).toBe('')
    expect(problems({ trust_domains: [...trust_domains, ...trust_domains] })).toContain('already used by')
    expect(problems({ trust_domains, agents: [agent(id), agent(id, `${id}y`)] })).toContain('already used by')
    expect(problems({ trust_domains, agents: [agent(id, id)] })).toContain('already used by')
    expect(problems({ agents: [agent(id)] })).toContain('no trust domain is named one.example')
    expect(problems({ trust_domains, agents: [agent('spiffe://one.exampl/x')] })).toContain('did you mean one.example?')
    for (const wrong of [
      'spiffe://one.example/*',
      'spiffe://one.example',
      'spiffe://one.example/x/',
      'one.example/x',
    ]) {
      expect(problems({ trust_domains, agents: [agent(wrong)] })).toContain('must be a SPIFFE ID with a path')
    }
  })
})
