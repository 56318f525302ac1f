/**
 * Enforcement has no off switch: whatever is switched in the configuration, in the registry, or said with a request, what a
 * grant denies stays denied. The switches are read off the schemas: one that is added is tried here, too.
 */
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ZodType } from 'zod'
import { configDocument } from '../../src/config/schema.ts'
import { createKeyEncryptionKey } from '../../src/keys/key-encryption-keys.ts'
import { registryDocument as registrySchema } from '../../src/registry/entries/registry-document.ts'
import { ConfigurationError } from '../../src/registry/strict-document.ts'
import { details, granted, intent, managementToken, refused, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { invalidScope } from '../support/refusal.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { registryDocument, SLACK, startWorld, WAREHOUSE, type World } from '../support/world.ts'
import { seedRsaKey } from '../support/world-keys.ts'
import { configAfter } from '../unit/config/document.ts'
import { ask, SLACK as CHAT, world as policyWorld, reason, WAREHOUSE as STORE } from '../unit/policy/world.ts'

interface Switch {
  readonly path: readonly string[]
  readonly values: readonly unknown[]
}
/** Every member that has few values: a truth value, a word of several, a word of its own such as `off`. */
function switchesOf(schema: ZodType, path: readonly string[] = []): readonly Switch[] {
  // biome-ignore lint/suspicious/noExplicitAny: of every kind of schema, another definition
  const def = (schema as any).def
  switch (def.type) {
    case 'object':
      return Object.entries(def.shape as Record<string, ZodType>).flatMap(([name, member]) =>
        switchesOf(member, [...path, name]),
      )
    case 'array':
      return switchesOf(def.element, [...path, '*'])
    case 'record':
      return switchesOf(def.valueType, [...path, '*'])
    case 'union':
      return (def.options as ZodType[]).flatMap((option) => switchesOf(option, path))
    case 'pipe':
      return switchesOf(def.in, path)
    case 'boolean':
      return [{ path, values: [true, false] }]
    case 'enum':
      return [{ path, values: Object.values(def.entries) }]
    case 'literal':
      return [{ path, values: def.values }]
    default:
      return def.innerType === undefined ? [] : switchesOf(def.innerType, path)
  }
}

// biome-ignore lint/suspicious/noExplicitAny: documents of any shape
type Raw = any
/** Wherever the path leads in the document; members that are missing are made, entries of lists are not. */
function set(document: Raw, [name = '', ...rest]: readonly string[], value: unknown): void {
  for (const one of name === '*' ? Object.keys(document) : [name]) {
    if (rest.length === 0) document[one] = value
    else {
      document[one] ??= {}
      if (typeof document[one] === 'object') set(document[one], rest, value)
    }
  }
}
const tries = (schema: ZodType) =>
  switchesOf(schema).flatMap(({ path, values }) =>
    values.map((value) => ({ name: `${path.join('.')}: ${String(value)}`, path, value })),
  )

const DENY = {
  id: 'never',
  effect: 'deny',
  principals: [{ group: 'finance' }],
  resources: [{ server: 'warehouse' }],
  reason: 'closed',
}
const at = (url: string, tool: string) => ({
  authorization_details: details(intent(), tools(url, { [tool]: {} })),
})
/** Some settings ask for it. */
const IN_A_TRACE = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }
const denied = invalidScope('nothing_granted')

let issuer: TestIssuer
let registry: Raw
beforeAll(async () => {
  issuer = await startIssuer({ slug: 'corp' })
  const document = registryDocument(issuer) as Raw
  const agents = document.agents.map((agent: Raw) => ({ ...agent, certified_until: '2099-01-01T00:00:00Z' }))
  registry = { agents, grants: [...document.grants, DENY] }
})
afterAll(() => issuer?.close())

describe('the configuration', () => {
  const said = tries(configDocument).flatMap(({ name, path, value }) => {
    try {
      return [{ name, config: configAfter((document) => set(document, path, value)) }]
    } catch (fault) {
      if (fault instanceof ConfigurationError) return []
      throw fault
    }
  })

  test('has switches', () => {
    expect(said.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['reviews.suspend_overdue: true', 'limits.per_source: off']),
    )
  })

  test.each(said)('$name: denied', async ({ config }) => {
    const { settings, admins, secondPerson, dpop, trustedProxies, limits } = config
    const { issuer: _issuer, environment: _environment, ...switched } = settings
    // Whatever it seals, it has something to seal it with.
    const keysDirectory = scratchDirectory('errand-switch-keys-')
    await Promise.all([seedRsaKey(keysDirectory), createKeyEncryptionKey(keysDirectory, 1)])
    const world = await startWorld({
      issuer,
      keysDirectory,
      registry,
      settings: switched,
      config: { admins, secondPerson, dpop, trustedProxies },
      limits,
    })
    try {
      await refused(world, () => world.open(at(WAREHOUSE, 'query'), IN_A_TRACE), denied)
      await granted(world.open(at(SLACK, 'list_channels'), IN_A_TRACE))
    } finally {
      await world.close()
      rmSync(keysDirectory, { recursive: true, force: true })
    }
  })

  test.each([
    { policy: { enforce: false } },
    { enforcement: 'off' },
    { mode: 'shadow' },
    { policy: 'shadow' },
    { dry_run: true },
    { default_decision: 'allow' },
    { development: true },
  ])('%j is no setting', (more) => {
    expect(() => configAfter((document) => Object.assign(document, more))).toThrow(ConfigurationError)
  })
})

describe('the registry', () => {
  const wanted = { [STORE]: { query: {} } }
  const other = { [CHAT]: { post: {}, list: {} } }
  const withDeny = (change: (document: Raw) => void = () => undefined) =>
    policyWorld((document: Raw) => {
      change(document)
      document.grants.push({ ...DENY })
    })

  test('denies, and allows elsewhere', () => {
    expect([ask(withDeny(), wanted).outcome, ask(withDeny(), other).outcome]).toEqual(['deny', 'allow'])
    expect(reason(ask(withDeny(), wanted))).toBe('nothing_granted')
  })

  test('has no switch that makes an allow of it', () => {
    let said = 0
    for (const { name, path, value } of tries(registrySchema)) {
      try {
        const switched = (document: Raw) => set(document, path, value)
        expect(ask(withDeny(switched), wanted).outcome, name).toBe('deny')
        // It is the deny that does it, and not what was switched.
        if (ask(policyWorld(switched), wanted).outcome === 'allow') said += 1
      } catch (fault) {
        if (!(fault instanceof ConfigurationError)) throw fault
      }
    }
    expect(said).toBeGreaterThan(30)
  })

  test.each([
    ['grants', { enforced: false }],
    ['grants', { mode: 'shadow' }],
    ['resources', { enforce: false }],
    ['agents', { superuser: true }],
    ['users', { bypass: true }],
  ])('%s: %j is no member', (section, more) => {
    expect(() => withDeny((document) => Object.assign(document[section][0], more))).toThrow(ConfigurationError)
  })
})

describe('a request', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld({ issuer, registry })
  })
  afterAll(() => world?.close())

  test.each([
    { 'X-Errand-Enforce': 'off' },
    { 'X-Errand-Mode': 'shadow' },
    { 'X-Policy': 'allow' },
    { 'X-Dry-Run': 'true' },
    { 'X-Debug': '1' },
    { 'X-Admin': 'true' },
    { 'X-Forwarded-User': 'root' },
    { Prefer: 'handling=lenient' },
  ])('with the header %j is denied as before', async (headers) => {
    await refused(world, () => world.open(at(WAREHOUSE, 'query'), headers as Record<string, string>), denied)
  })

  test('with the parameter of another system is not granted, nor with the token of an operator', async () => {
    for (const more of [{ dry_run: 'true' }, { enforce: 'false' }, { mode: 'shadow' }, { policy: 'off' }]) {
      const { status, body } = await world.open({ ...at(WAREHOUSE, 'query'), ...more })
      expect([status, body.access_token], JSON.stringify(more)).toEqual([400, undefined])
    }
    const Authorization = `Bearer ${await managementToken(world)}`
    const { status, body } = await world.open(at(WAREHOUSE, 'query'), { Authorization })
    expect([status >= 400, body.access_token]).toEqual([true, undefined])
  })
})
