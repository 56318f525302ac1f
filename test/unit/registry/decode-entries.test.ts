import { describe, expect, test } from 'vitest'
import { privateJwk, publicJwk, testKey } from '../../support/keys.ts'
import { key, problemsAfter, registryAfter } from './document.ts'

const at = 'registry.yaml: '

describe('tools', () => {
  const tools = (extra: Record<string, unknown>) =>
    registryAfter((d) => Object.assign(d.resources[0].tools, extra)).resources[0]?.tools

  test('a tool nobody classified counts as admin', () => {
    expect(tools({})?.get('unclassified')).toEqual({
      name: 'unclassified',
      category: 'admin',
      scope: 'mcp:tools:admin',
      delegable: false,
      approval: 'none',
      capture: {},
      redact: [],
    })
  })

  test.each([
    ['destructive', 'calls', 'required'],
    ['admin', 'calls', 'required'],
    ['read', 'calls', 'none'],
    ['write', 'calls', 'none'],
    ['destructive', 'arguments', 'none'],
    ['destructive', 'scope', 'none'],
  ])('a %s tool of a server that enforces %s and does not say: its calls are approved, %s', (category, enforces, is) => {
    const tool = (entry: object) =>
      registryAfter((d) => {
        d.resources[0].enforces = enforces
        d.resources[0].tools.extra = entry
      }).resources[0]?.tools
    expect(tool({ category })?.get('extra')?.approval).toBe(is)
    for (const approval of ['required', 'none']) {
      expect(tool({ category, approval })?.get('extra')?.approval).toBe(approval)
    }
  })

  test('a budget is of a server that asks before each call, and is bounded', () => {
    const change = (enforces: string, budget: object) => (d: Parameters<Parameters<typeof registryAfter>[0]>[0]) => {
      d.resources[0].enforces = enforces
      d.resources[0].tools.extra = { category: 'read', budget }
    }
    const budget = { max_calls: 1000, per_seconds: 31 * 86_400 }
    const decoded = registryAfter(change('calls', budget)).resources[0]?.tools.get('extra')?.budget
    expect(decoded).toEqual({ maxCalls: 1000, perSeconds: 31 * 86_400 })
    for (const enforces of ['scope', 'tools', 'arguments']) {
      expect(problemsAfter(change(enforces, budget))).toEqual([
        expect.stringContaining('resources[0].tools.extra.budget: only with enforces: calls'),
      ])
    }
    for (const wrong of [
      {},
      { ...budget, max_calls: 0 },
      { ...budget, max_calls: 1001 },
      { ...budget, per_seconds: 0 },
    ]) {
      expect(problemsAfter(change('calls', wrong)).join()).toContain('resources[0].tools.extra.budget')
    }
  })

  test('what a tool that is unclassified again said of approvals was said of another', () => {
    const [resource] = registryAfter((d) => {
      d.resources[0].tools.extra = { category: 'read', approval: 'none' }
      Object.assign(d.resources[0], { enforces: 'calls', manifest_digest: 'A'.repeat(43) })
    }).resources
    expect(resource?.tools.get('extra')).toMatchObject({ category: 'admin', approval: 'required', delegable: false })
  })

  test.each([
    ['read', true],
    ['write', true],
    ['destructive', false],
    ['admin', false],
  ])('a %s tool that does not say is delegable: %s', (category, delegable) => {
    expect(tools({ extra: { category } })?.get('extra')).toMatchObject({ delegable, scope: `mcp:tools:${category}` })
  })

  test('a tool is delegable, or not, as it says', () => {
    expect(tools({ extra: { category: 'destructive', delegable: true } })?.get('extra')?.delegable).toBe(true)
    expect(tools({ extra: { category: 'read', delegable: false } })?.get('extra')?.delegable).toBe(false)
  })

  test('a tool has the scope it names', () => {
    expect(tools({})?.get('insert')?.scope).toBe('rows:insert')
  })
})

describe('published keys', () => {
  const sets = (...entries: unknown[]) => problemsAfter((d) => (d.agents[0].key_sets = entries))
  const set = { jwks_uri: 'https://agents.example/jwks', version: '2' }

  test('a key set has a URL, a version and algorithms', () => {
    const [agent] = registryAfter((d) => (d.agents[0].key_sets = [set])).agents
    expect(agent?.keySets).toEqual([
      { document: 'jwks', jwksUri: set.jwks_uri, version: '2', algorithms: ['ES256', 'RS256', 'Ed25519'] },
    ])
  })

  test('a credential is a key or a URL, never both, and always of a version', () => {
    expect(sets({ ...key('orchestrator'), ...set }).length).toBeGreaterThan(0)
    expect(problemsAfter((d) => (d.agents[0].keys = [set]))[0]).toMatch(/keys\[0\]\.kid: required/)
    expect(sets({ jwks_uri: set.jwks_uri })).toEqual([`${at}agents[0].key_sets[0].version: required`])
  })

  test('a key set is https, not symmetric, of one URL, and one of few', () => {
    expect(sets({ ...set, jwks_uri: 'http://agents.example/jwks' })[0]).toMatch(/must be https/)
    expect(sets({ ...set, algorithms: ['HS256'] })[0]).toMatch(/algorithms/)
    expect(sets(set, { ...set, version: '3' })).toEqual([
      `${at}agents[0].key_sets[1].jwks_uri: used twice by this client`,
    ])
    expect(
      sets(...Array.from({ length: 5 }, (_, index) => ({ ...set, jwks_uri: `${set.jwks_uri}/${index}` }))),
    ).toEqual([`${at}agents[0].key_sets: at most 4`])
  })
})

describe('keys', () => {
  test('a public key is bound to its algorithm and a version', () => {
    const [first] = registryAfter(() => undefined).agents[0]?.keys ?? []
    expect(first).toMatchObject({ kid: 'orchestrator', alg: 'ES256', version: '1' })
    expect(first?.key.type).toBe('public')
  })

  test('a private key is refused, and its parts are not printed', () => {
    const jwk = { ...privateJwk(testKey('orchestrator')), version: '1' }
    const problems = problemsAfter((d) => (d.agents[0].keys = [jwk]))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^registry\.yaml: agents\[0\]\.keys\[0\]: .*private/)
    expect(problems[0]).not.toContain(jwk.d)
  })

  test.each([
    ['a symmetric key', { kty: 'oct', k: 'c2VjcmV0', kid: 'a', version: '1' }],
    ['a point off its curve', { ...key('orchestrator'), y: key('warehouse').y }],
    ['a key for another purpose', { ...key('orchestrator'), use: 'enc' }],
    ['an RSA key without algorithm', { ...publicJwk(testKey('rsa', 'RS256')), alg: undefined, version: '1' }],
  ])('%s is refused', (_what, jwk) => {
    expect(problemsAfter((d) => (d.services[0].keys = [jwk]))).toEqual([
      expect.stringMatching(/^registry\.yaml: services\[0\]\.keys\[0\]: /),
    ])
  })

  test('one kid cannot name two keys of a client', () => {
    expect(problemsAfter((d) => d.agents[0].keys.push({ ...key('warehouse'), kid: 'orchestrator' }))).toEqual([
      `${at}agents[0].keys[1].kid: used twice by this client`,
    ])
  })
})

describe('constraints', () => {
  test('an unknown constraint refuses, and names where it is', () => {
    const problems = problemsAfter((d) => (d.grants[0].constraints.limit = { max: 3 }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`${at}grants[0].constraints.'limit'`)
  })

  test('constraints of a manifest and of a standing intent are read as well', () => {
    const problems = problemsAfter((d) => {
      d.agents[0].manifest[0].constraints = { limit: 3 }
      d.agents[0].standing_intent.tools.warehouse.query = []
    })
    expect(problems).toHaveLength(2)
    expect(problems[0]).toContain(`${at}agents[0].manifest[0].constraints`)
    expect(problems[1]).toContain(`${at}agents[0].standing_intent.tools.warehouse.query`)
  })

  test('a deny has none: what it means for other calls would be a guess', () => {
    expect(problemsAfter((d) => (d.grants[1].constraints = {}))).toEqual([
      `${at}grants[1].constraints: a deny cannot have constraints; it denies the tool as a whole`,
    ])
  })

  test('absent constraints constrain nothing', () => {
    const [agent] = registryAfter(() => undefined).agents
    expect(agent?.manifest[0]).toEqual({ selector: { server: 'warehouse', category: 'read' }, constraints: new Map() })
  })
})

test('times become epoch seconds', () => {
  const registry = registryAfter(
    (d) => (d.grants[0].when = { not_before: '2026-01-01T01:00:00+01:00', not_after: '2026-01-01T00:00:10.9Z' }),
  )
  expect(registry.grants[0]?.when).toEqual({ notBefore: 1767225600, notAfter: 1767225610 })
})

test('a grant that is never in force is refused', () => {
  const when = { not_before: '2026-01-01T00:00:00Z', not_after: '2026-01-01T00:00:00Z' }
  expect(problemsAfter((d) => (d.grants[0].when = when))).toEqual([
    `${at}grants[0].when: not_after must be later than not_before`,
  ])
})

test('a standing intent names its resources by their URLs as registered', () => {
  const registry = registryAfter((d) => {
    d.agents[0].standing_intent.tools = { notes: { read_note: {} } }
    d.agents[0].standing_intent.max_depth = 2
  })
  expect(registry.agents[0]?.standingIntent).toEqual({
    purpose: 'Answer questions about revenue',
    origin: undefined,
    expiresIn: 900,
    maxDepth: 2,
    tools: new Map([['https://notes.example/mcp/', { tools: new Map([['read_note', new Map()]]), limits: {} }]]),
  })
})

test('a purpose with control characters is refused: people will read it in terminals', () => {
  expect(problemsAfter((d) => (d.agents[0].standing_intent.purpose = 'a\u001b[2Jb'))).toEqual([
    `${at}agents[0].standing_intent.purpose must not contain control or direction-changing characters`,
  ])
})

test('short names of grant types become those of the wire', () => {
  expect(registryAfter(() => undefined).agents[0]?.grantTypes).toEqual([
    'urn:ietf:params:oauth:grant-type:token-exchange',
    'client_credentials',
  ])
})

describe('issuance', () => {
  test('absent is no rule; a rule is a scope and a number per minute', () => {
    expect(registryAfter(() => undefined).agents[0]?.issuance).toEqual([])
    const rules = [{ scope: 'mcp:tools:write', per_minute: 3 }]
    expect(registryAfter((d) => (d.agents[0].issuance = rules)).agents[0]?.issuance).toEqual([
      { scope: 'mcp:tools:write', perMinute: 3 },
    ])
  })

  test.each<[string, unknown, string]>([
    ['none at all', [{ scope: 'read', per_minute: 0 }], 'issuance[0].per_minute'],
    ['half a token', [{ scope: 'read', per_minute: 0.5 }], 'issuance[0].per_minute'],
    ['more than the window holds', [{ scope: 'read', per_minute: 1_001 }], 'issuance[0].per_minute'],
    ['two scopes in one', [{ scope: 'read write', per_minute: 1 }], 'issuance[0].scope'],
    ['a scope twice', [1, 2].map((per_minute) => ({ scope: 'read', per_minute })), 'issuance: names a scope twice'],
    ['another unit', [{ scope: 'read', per_second: 1 }], 'issuance[0].per_second: unknown key'],
    ['no number', [{ scope: 'read' }], 'issuance[0].per_minute: required'],
  ])('%s is refused by name', (_what, rules, where) => {
    expect(problemsAfter((d) => (d.agents[0].issuance = rules)).join('\n')).toContain(`agents[0].${where}`)
  })
})
