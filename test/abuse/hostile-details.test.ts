/**
 * Details that try to widen by being strange: names that JavaScript objects answer to by themselves, members nobody knows,
 * members that say two things (threats.md C3 c, H50).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { argumentsRefusal, parseToolConstraints } from '../../src/authority/constraints.ts'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import { ConfigurationError } from '../../src/registry/strict-document.ts'
import { type Claims, details, granted, intent, openDeep, refused, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { invalidDetails, invalidTarget, toStranger } from '../support/refusal.ts'
import { INTENT, registryDocument, startWorld, WAREHOUSE, type World } from '../support/world.ts'

let idp: TestIssuer
let world: World
/** A server that really has tools and arguments by such names. */
const ODD = 'https://odd.example/mcp'
const NAMES = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'prototype']
/** No JSON document has it as a member here; in names of parameters it is text like any other. */
const PROTO = '__proto__'
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  const document = registryDocument(idp)
  const odd = JSON.parse(
    `{"id":"odd","url":"${ODD}","owner":"o","project":"p","server_client":"wiki-server","enforces":"arguments",
      "tools":{${['plain', ...NAMES].map((name) => `"${name}":{"category":"read"}`).join()}}}`,
  )
  world = await startWorld({ issuer: idp, registry: { resources: [...(document['resources'] as object[]), odd] } })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

const raw = (toolsText: string, location = WAREHOUSE) =>
  `[${JSON.stringify(intent())},{"type":"mcp_tools","locations":["${location}"],"tools":${toolsText}}]`
const unknown = invalidDetails('details_unknown')
const malformed = toStranger(invalidDetails('details_malformed'))

describe('names every object answers to', () => {
  test.each(NAMES)('%s as a tool that is not registered is unknown, not inherited', async (name) => {
    await refused(world, () => world.open({ authorization_details: raw(`{"${name}":{}}`) }), unknown)
  })

  test.each(NAMES)('%s as a tool that is registered is a tool like any other', async (name) => {
    const { claims } = await granted(world.open({ authorization_details: raw(`{"${name}":{"a":{"const":1}}}`, ODD) }))
    expect(Object.keys(claims.authorization_details[0].tools)).toEqual([name])
    const { token } = await granted(world.open({ authorization_details: raw('{"plain":{}}', ODD) }))
    const passOn = { authorization_details: raw(`{"${name}":{}}`, ODD) }
    await refused(world, () => world.delegate(token, passOn), invalidDetails('details_widening'))
  })

  test.each(NAMES)('%s as an argument is constrained like any other, and cannot be shaken off', async (name) => {
    const held = `{"query":{"${name}":{"const":"revenue"},"limit":{"maximum":5}}}`
    const { token, claims } = await granted(world.open({ authorization_details: raw(held) }))
    expect(JSON.stringify(claims.authorization_details[0].tools)).toBe(held)
    for (const wider of [
      '{"query":{"limit":{"maximum":5}}}',
      `{"query":{"${name}":{},"limit":{"maximum":5}}}`,
      `{"query":{"${name}":{"enum":["revenue","costs"]},"limit":{"maximum":5}}}`,
    ]) {
      const request = () =>
        world.continue(token, {
          authorization_details: `[${JSON.stringify({ type: 'mcp_tools', locations: [WAREHOUSE] }).slice(0, -1)},"tools":${wider}}]`,
        })
      await refused(world, request, invalidDetails('details_widening'))
    }
  })

  test.each([PROTO, ...NAMES])('%s as a resource, an audience or a delegate names nothing', async (name) => {
    const { token } = await openDeep(world)
    const target = async (answer: ReturnType<World['continue']>) => {
      const { status, body } = await answer
      expect([status, body.error]).toEqual([400, 'invalid_target'])
    }
    await target(world.continue(token, { resource: name }))
    await target(world.continue(token, { resource: undefined, audience: name }))
    await target(world.delegate(token, { audience: name }))
    await refused(world, () => world.delegate(token, { audience: name }), invalidTarget('delegate_unknown'))
  })

  test.each([PROTO, ...NAMES])('%s as a client, a session or a scope is nobody and nothing', async (name) => {
    expect((await world.exchange(name, {})).status).not.toBe(200)
    expect((await world.bearer(`/sessions/${name}`, await world.apiToken())).body.error).toBe('not_found')
    const { status, body } = await world.open({ scope: name })
    expect([status, body.error]).toEqual([400, 'invalid_scope'])
  })

  test('__proto__ as a member is refused before anything reads it, wherever it stands, and changes nothing', async () => {
    const polluting = [
      `[{"type":"agent_intent","purpose":"x","${PROTO}":{"max_depth":4}}]`,
      raw('{"query":{}}').replace('"tools":', `"${PROTO}":{"limits":{}},"tools":`),
      raw(`{"${PROTO}":{}}`),
      raw(`{"query":{"${PROTO}":{"const":"revenue"}}}`),
      raw(`{"query":{"limit":{"maximum":5,"${PROTO}":{"minimum":1}}}}`),
      raw('{"query":{"limit":{"maximum":5,"\\u005f_proto__":{"minimum":1}}}}'),
    ]
    for (const authorization_details of polluting) {
      await refused(world, () => world.open({ authorization_details }), malformed)
    }
    expect(Object.keys(Object.prototype)).toEqual([])
    expect(({} as Claims).max_depth).toBeUndefined()
  })
})

describe('members nobody knows are refused: an unknown restriction that is ignored is a grant', () => {
  const [declared, ...rest] = INTENT as readonly object[]
  const objects: readonly (readonly [string, readonly object[]])[] = [
    ['in the intent', [{ ...declared, max_calls: 3 }, ...rest]],
    ['in the origin', [{ ...declared, origin: { type: 'user_request', asserted_by: 'user:corp:alice' } }, ...rest]],
    ['in the tools', [declared ?? {}, tools(WAREHOUSE, { query: {} }, { actions: ['read'] })]],
    ['in the limits', [declared ?? {}, tools(WAREHOUSE, { query: {} }, { limits: { maxBytes: 5 } })]],
    ['in a constraint', [declared ?? {}, tools(WAREHOUSE, { query: { limit: { maximum: 5, exclusive: true } } })]],
    ['spelled in another case', [declared ?? {}, tools(WAREHOUSE, { query: { limit: { Maximum: 5 } } })]],
    ['as scope in the details', [declared ?? {}, tools(WAREHOUSE, { query: {} }, { scope: 'mcp:tools:write' })]],
  ]
  test.each(objects)('%s', async (_where, list) => {
    await refused(world, () => world.open({ authorization_details: details(...list) }), toStranger(unknown))
  })
})

describe('details that say two things say nothing', () => {
  test.each([
    ['a member twice', raw('{"query":{"limit":{"maximum":5,"maximum":5000}}}')],
    ['a tool twice', raw('{"query":{"limit":{"maximum":5}},"query":{}}')],
    ['an argument twice', raw('{"query":{"limit":{"maximum":5},"limit":{}}}')],
    ['a member twice, once escaped', raw('{"query":{"limit":{"maximum":5}},"\\u0071uery":{}}')],
    ['two intents', details(intent(), intent(), tools(WAREHOUSE, { query: {} }))],
    [
      'one resource in two objects',
      details(intent(), tools(WAREHOUSE, { query: {} }), tools(WAREHOUSE, { list_tables: {} })),
    ],
    [
      'one resource in two spellings',
      details(intent(), tools(WAREHOUSE, { query: {} }), tools(`${WAREHOUSE}/`, { list_tables: {} })),
    ],
    ['const and enum', raw('{"query":{"table":{"const":"a","enum":["a","b"]}}}')],
    ['bounds that admit nothing', raw('{"query":{"limit":{"minimum":5,"maximum":4}}}')],
    ['a number no two readers read alike', raw('{"query":{"limit":{"maximum":9007199254740993}}}')],
    ['a prefix that can be climbed out of', raw('{"query":{"path":{"prefix":"/reports/../"}}}')],
    [
      'a text that looks different from what it is',
      details(intent({ purpose: 'Read \u202eetirw' }), tools(WAREHOUSE, { query: {} })),
    ],
    ['nesting without end', `${'['.repeat(40)}${']'.repeat(40)}`],
  ])('%s', async (_what, authorization_details) => {
    await refused(world, () => world.open({ authorization_details }), malformed)
  })
})

describe('H36: what looks like a pattern is letters, and costs no more than letters', () => {
  const EVIL = '(a+)+$'
  const LONG = 'a'.repeat(50_000)

  test('in a constraint', () => {
    const held = parseToolConstraints({ q: { prefix: EVIL }, r: { enum: [EVIL, '.*'] }, s: { maxLength: 10 } }, 'x')
    const call = (more: object) => argumentsRefusal(held, { q: `${EVIL}x`, r: '.*', s: 's', ...more })
    const begun = process.cpuUsage()
    expect(call({})).toBeUndefined()
    for (const refused of [{ q: LONG }, { q: `${LONG}!` }, { r: LONG }, { r: 'aa' }, { s: LONG }]) {
      expect(call(refused)).toBeTypeOf('string')
    }
    expect(process.cpuUsage(begun).user / 1_000).toBeLessThan(500)
  })

  test.each([EVIL, '.*', 'que*', '^query$'])('in a grant: %s names no tool', (tool) => {
    const granting = (name: string) => {
      const principals = [{ group: 'finance' }]
      const resources = [{ server: 'warehouse', tool: name }]
      const grant = { id: 'patterned', effect: 'allow', principals, resources, reason: 'none' }
      return decodeRegistry({ ...registryDocument(idp), grants: [grant] }, 'x.yaml', { issuer: world.issuer })
    }
    expect(granting('query').grants).toHaveLength(1)
    expect(() => granting(tool)).toThrow(ConfigurationError)
  })
})
