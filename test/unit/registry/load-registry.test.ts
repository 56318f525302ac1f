import { describe, expect, test } from 'vitest'
import { Rejection } from '../../../src/kernel/rejection.ts'
import type { Issuer } from '../../../src/model/issuer.ts'
import { decodeRegistryDocuments, parseRegistryText } from '../../../src/registry/load-registry.ts'
import { decoded, ISSUER, problemsOf, type Raw, registryAfter, validDocument } from './document.ts'

const registry = decoded(validDocument())

function issuer(slug: string): Issuer {
  const found = registry.issuerBySlug(slug)
  if (found === undefined) throw new Error(`no issuer ${slug}`)
  return found
}

describe('look-ups', () => {
  test('a client is found by its exact id, whatever its kind', () => {
    expect(registry.client('orchestrator')?.kind).toBe('agent')
    expect(registry.client('warehouse-server')?.kind).toBe('service')
    for (const name of ['Orchestrator', 'orchestrator ', '', '__proto__', 'constructor']) {
      expect(registry.client(name)).toBeUndefined()
    }
  })

  test('an issuer is found byte for byte (RFC 8414 §3.3)', () => {
    expect(registry.issuer('https://idp.example')?.slug).toBe('corp')
    expect(registry.issuer('https://idp.example/')).toBeUndefined()
    expect(registry.issuer('https://other.example')).toBeUndefined()
    expect(registry.issuer('https://other.example/')?.slug).toBe('other')
  })

  test('a resource is found by any spelling and keeps its own (RFC 8707 §2)', () => {
    for (const url of ['https://notes.example/mcp', 'https://NOTES.example:443/mcp/', 'https://notes.example/mcp/']) {
      expect(registry.resource(url)?.url).toBe('https://notes.example/mcp/')
    }
    expect(registry.resource('https://notes.example/MCP')).toBeUndefined()
    expect(registry.resource('https://notes.example/mcp?x=1')).toBeUndefined()
    expect(() => registry.resource('notes')).toThrow(Rejection)
  })

  test('a resource is found by id or URL where either is meant', () => {
    expect(registry.resourceByName('notes')?.id).toBe('notes')
    expect(registry.resourceByName('https://notes.example/mcp')?.id).toBe('notes')
    expect(registry.resourceByName('nothing')).toBeUndefined()
  })
})

describe('users', () => {
  test('a listed user is who the registry says', () => {
    expect(registry.user(issuer('corp'), 'alice')).toMatchObject({
      active: true,
      groups: ['finance'],
      roles: ['analyst'],
    })
  })

  test('an inactive user is found, and inactive', () => {
    expect(registry.user(issuer('corp'), 'bob')?.active).toBe(false)
  })

  test('an issuer that lists its users knows no other', () => {
    expect(registry.user(issuer('corp'), 'mallory')).toBeUndefined()
    expect(registry.user(issuer('corp'), 'carol')).toBeUndefined()
  })

  test('an issuer that vouches for its users gives them no groups and no roles', () => {
    expect(registry.user(issuer('other'), 'dave')).toEqual({
      issuerSlug: 'other',
      sub: 'dave',
      active: true,
      groups: [],
      roles: [],
    })
  })

  test('where there is a record, it overrides the issuer', () => {
    expect(registry.user(issuer('other'), 'carol')?.groups).toEqual(['finance'])
    const suspended = registryAfter((d) => (d.users[2].active = false))
    expect(suspended.user(issuer('other'), 'carol')?.active).toBe(false)
  })
})

describe('versions', () => {
  test('the same entries give the same version, however they are written', () => {
    const reordered: Raw = Object.fromEntries(Object.entries(validDocument()).reverse())
    reordered.grants[0] = Object.fromEntries(Object.entries(reordered.grants[0]).reverse())
    expect(decoded(reordered).version).toBe(registry.version)
    expect(registry.version).toMatch(/^[\w-]{43}$/)
  })

  test('a default written out changes nothing', () => {
    expect(registryAfter((d) => (d.agents[0].state = 'active')).version).toBe(registry.version)
  })

  test.each([
    ['a grant', (d: ReturnType<typeof validDocument>) => (d.grants[0].constraints.limit.maximum = 999)],
    ['a state', (d: ReturnType<typeof validDocument>) => (d.agents[1].state = 'suspended')],
    ['a user', (d: ReturnType<typeof validDocument>) => (d.users[0].active = false)],
  ])('a change of %s changes the version', (_what, change) => {
    expect(registryAfter(change).version).not.toBe(registry.version)
  })

  test('the life of tokens that resources do not state is part of the version', () => {
    const other = decodeRegistryDocuments([{ document: validDocument(), sourceName: 'r' }], {
      issuer: ISSUER,
      accessTokenSeconds: 60,
    })
    expect(other.resources[0]?.accessTokenLifetimeSeconds).toBe(60)
    expect(other.version).not.toBe(registry.version)
  })
})

describe('several documents', () => {
  const { grants, ...rest } = validDocument()

  test('are one registry, with the version of their union', () => {
    const documents = [
      { document: rest, sourceName: 'base.yaml' },
      { document: { grants }, sourceName: 'grants.yaml' },
    ]
    expect(decodeRegistryDocuments(documents, { issuer: ISSUER }).version).toBe(registry.version)
  })

  test('have their problems named by their own files', () => {
    const documents = [
      { document: rest, sourceName: 'base.yaml' },
      { document: { grants: [{ ...grants[1], principals: [{ agent: 'gone' }] }] }, sourceName: 'grants.yaml' },
    ]
    expect(problemsOf(() => decodeRegistryDocuments(documents, { issuer: ISSUER }))).toEqual([
      'grants.yaml: grants[0].principals[0].agent: no agent is named gone',
    ])
  })

  test('none is no registry content at all', () => {
    const empty = decodeRegistryDocuments([], { issuer: ISSUER })
    expect([empty.agents, empty.grants, empty.resources, empty.issuers]).toEqual([[], [], [], []])
  })
})

test('YAML text is read strictly before it is decoded', () => {
  expect(problemsOf(() => parseRegistryText('users: []\nusers: []', 'r.yaml', { issuer: ISSUER }))).toHaveLength(1)
  expect(parseRegistryText('users: []', 'r.yaml', { issuer: ISSUER }).agents).toEqual([])
})

test('nothing of a registry can be exchanged after it was decoded', () => {
  expect(Object.isFrozen(registry)).toBe(true)
})
