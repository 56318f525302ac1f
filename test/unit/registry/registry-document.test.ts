import { describe, expect, test } from 'vitest'
import { decoded, problemsAfter, problemsOf, type Raw, registryAfter } from './document.ts'

const at = 'registry.yaml: '

describe('an entry that is not what it must be is refused by its path', () => {
  test.each<[string, (document: Raw) => void, string]>([
    ['unknown section', (d) => (d.agent = []), `${at}agent: unknown key; did you mean agents?`],
    [
      'unknown key deep inside',
      (d) => (d.agents[0].manifest[0].tols = 'x'),
      `${at}agents[0].manifest[0].tols: unknown`,
    ],
    ['slug with a colon (two namespaces could meet)', (d) => (d.issuers[0].slug = 'a:b'), `${at}issuers[0].slug: `],
    [
      'issuer over plain http',
      (d) => (d.issuers[0].issuer = 'http://idp.example'),
      `${at}issuers[0].issuer: must be https`,
    ],
    [
      'key set over plain http',
      (d) => (d.issuers[0].jwks_uri = 'http://idp.example/jwks'),
      `${at}issuers[0].jwks_uri: `,
    ],
    [
      'key set with credentials',
      (d) => (d.issuers[0].jwks_uri = 'https://u:p@idp.example/'),
      `${at}issuers[0].jwks_uri: `,
    ],
    ['no algorithm', (d) => (d.issuers[0].algorithms = []), `${at}issuers[0].algorithms: `],
    ['a symmetric algorithm', (d) => (d.issuers[0].algorithms = ['HS256']), `${at}issuers[0].algorithms[0]: `],
    ['the algorithm none', (d) => (d.issuers[0].algorithms = ['none']), `${at}issuers[0].algorithms[0]: `],
    [
      'an undefined meaning of scope',
      (d) => (d.issuers[0].accepts.access_token = 'all'),
      `${at}issuers[0].accepts.access_token`,
    ],
    ['a user without a subject', (d) => (d.users[0].sub = ''), `${at}users[0].sub: `],
    ['control characters in a subject', (d) => (d.users[0].sub = 'a\nb'), `${at}users[0].sub: `],
    [
      'a service whose client id looks like a URL',
      (d) => (d.services[0].client_id = 'https://x.example/c'),
      `${at}services[0].client_id: `,
    ],
    [
      'an agent’s client id with another scheme',
      (d) => (d.agents[1].client_id = 'agent:x'),
      `${at}agents[1].client_id: `,
    ],
    ['a client id with a colon', (d) => (d.services[0].client_id = 'agent:x'), `${at}services[0].client_id: `],
    ['a client id beyond its bound', (d) => (d.agents[1].client_id = 'a'.repeat(129)), `${at}agents[1].client_id: `],
    ['an agent nobody answers for', (d) => (d.agents[0].owner = ''), `${at}agents[0].owner: `],
    ['an agent without owner', (d) => delete d.agents[0].owner, `${at}agents[0].owner: required`],
    ['an agent without environment', (d) => delete d.agents[0].environment, `${at}agents[0].environment: required`],
    ['an unknown grant type', (d) => (d.agents[0].grant_types = ['password']), `${at}agents[0].grant_types[0]: `],
    ['an unknown API scope', (d) => (d.agents[0].api_scopes = ['admin']), `${at}agents[0].api_scopes[0]: `],
    ['an unknown state', (d) => (d.agents[0].state = 'enabled'), `${at}agents[0].state: `],
    ['a key without version', (d) => delete d.agents[0].keys[0].version, `${at}agents[0].keys[0].version: required`],
    ['a key without kid', (d) => delete d.agents[0].keys[0].kid, `${at}agents[0].keys[0].kid: required`],
    [
      'a standing intent without tools',
      (d) => (d.agents[0].standing_intent.tools = {}),
      `${at}agents[0].standing_intent.tools: `,
    ],
    [
      'a standing intent with an empty resource',
      (d) => (d.agents[0].standing_intent.tools.warehouse = {}),
      `${at}agents[0].standing_intent.tools.warehouse: `,
    ],
    [
      'a standing intent that lives too long',
      (d) => (d.agents[0].standing_intent.expires_in = 86401),
      `${at}agents[0].standing_intent.expires_in: `,
    ],
    ['a resource with a fragment (RFC 8707 section 2)', (d) => (d.resources[0].url += '#x'), `${at}resources[0].url: `],
    ['a resource over plain http', (d) => (d.resources[0].url = 'http://w.example/mcp'), `${at}resources[0].url: `],
    [
      'a scope of two members',
      (d) => (d.resources[0].tools.query.scope = 'a b'),
      `${at}resources[0].tools.query.scope: `,
    ],
    [
      'a scope with a quote',
      (d) => (d.resources[0].tools.query.scope = 'a"b'),
      `${at}resources[0].tools.query.scope: `,
    ],
    [
      'an unknown category',
      (d) => (d.resources[0].tools.query.category = 'safe'),
      `${at}resources[0].tools.query.category: `,
    ],
    [
      'a tool name no request can spell',
      (d) => (d.resources[0].tools['a b'] = {}),
      `${at}resources[0].tools.a b: not a usable name`,
    ],
    ['a tool that is null', (d) => (d.resources[0].tools.query = null), `${at}resources[0].tools.query: `],
    [
      'too many tools',
      (d) => (d.resources[0].tools = Object.fromEntries(Array.from({ length: 257 }, (_, n) => [`t${n}`, {}]))),
      `${at}resources[0].tools: at most`,
    ],
    [
      'a token life beyond the bound',
      (d) => (d.resources[0].access_token_seconds = 901),
      `${at}resources[0].access_token_seconds: `,
    ],
    ['an unknown enforcement', (d) => (d.resources[0].enforces = 'none'), `${at}resources[0].enforces: `],
    [
      'a principal of two kinds',
      (d) => (d.grants[0].principals[0] = { group: 'a', role: 'b' }),
      `${at}grants[0].principals[0]: must have exactly one`,
    ],
    [
      'a principal of no kind',
      (d) => (d.grants[0].principals[0] = {}),
      `${at}grants[0].principals[0]: must have exactly one`,
    ],
    ['a grant to nobody', (d) => (d.grants[0].principals = []), `${at}grants[0].principals: `],
    ['a grant of nothing', (d) => (d.grants[0].resources = []), `${at}grants[0].resources: `],
    [
      'a selector that selects nothing',
      (d) => (d.grants[0].resources[0] = {}),
      `${at}grants[0].resources[0]: must name`,
    ],
    [
      'a manifest entry with constraints alone',
      (d) => (d.agents[0].manifest[0] = { constraints: {} }),
      `${at}agents[0].manifest[0]: must name`,
    ],
    [
      'an unknown selector key',
      (d) => (d.grants[0].resources[0].tag = 'x'),
      `${at}grants[0].resources[0].tag: unknown key`,
    ],
    ['an unknown condition', (d) => (d.grants[0].when.weather = 'low'), `${at}grants[0].when.weather: unknown key`],
    ['a risk that is no bound', (d) => (d.grants[0].when.risk = 'low'), `${at}grants[0].when.risk: `],
    ['an unknown risk', (d) => (d.grants[0].when.risk = { at_most: 'none' }), `${at}grants[0].when.risk: `],
    [
      'a risk from both sides',
      (d) => (d.grants[0].when.risk = { at_most: 'low', at_least: 'low' }),
      `${at}grants[0].when.risk: `,
    ],
    [
      'an allow from some risk on',
      (d) => (d.grants[0].when.risk = { at_least: 'low' }),
      `${at}grants[0].when.risk: an allow says at_most`,
    ],
    [
      'a scope of everything (R068)',
      (d) => (d.resources[0].tools.query.scope = 'crm:*'),
      `${at}resources[0].tools.query.scope: `,
    ],
    ['an agent without an owner', (d) => delete d.agents[0].owner, `${at}agents[0].owner: required`],
    ['a server without an owner', (d) => delete d.resources[0].owner, `${at}resources[0].owner: required`],
    [
      'an owner of an unknown issuer',
      (d) => (d.agents[0].owner = 'user:crop:alice'),
      `${at}agents[0].owner: no issuer is named crop; did you mean corp?`,
    ],
    ['an owner that is half a user', (d) => (d.agents[0].owner = 'user:alice'), `${at}agents[0].owner: must be user:`],
    [
      'a version twice',
      (d) => (d.agents[0].versions = [{ version: '1' }, { version: '1' }]),
      `${at}agents[0].versions[1].version: used twice`,
    ],
    [
      'a credential of no version',
      (d) => (d.agents[0].versions = [{ version: 'x' }]),
      `${at}agents[0].keys[0].version: `,
    ],
    [
      'an image by its tag',
      (d) => (d.agents[0].versions = [{ version: '1', image_digest: 'latest' }]),
      `${at}agents[0].versions[0].image_digest: `,
    ],
    ['a role twice', (d) => (d.roles = [{ name: 'a' }, { name: 'a' }]), `${at}roles[1].name: already used`],
    [
      'a role of a user who is not listed',
      (d) => (d.roles = [{ name: 'a', users: ['corp:alcie'] }]),
      `${at}roles[0].users[0]: no listed user`,
    ],
    [
      'an external server with half a review',
      (d) => (d.resources[0].vendor_review = { reviewed_on: '2026-01-01' }),
      `${at}resources[0].vendor_review.residency: required`,
    ],
    [
      'a risk claim without values',
      (d) => (d.issuers[0].risk_claim = { claim: 'risk', values: {} }),
      `${at}issuers[0].risk_claim.values: `,
    ],
    [
      'a time without its offset',
      (d) => (d.grants[0].when.not_before = '2026-01-01T00:00:00'),
      `${at}grants[0].when.not_before: `,
    ],
    ['a time that is a number', (d) => (d.grants[0].when.not_before = 1767225600), `${at}grants[0].when.not_before: `],
    ['an effect that is neither', (d) => (d.grants[0].effect = 'Allow'), `${at}grants[0].effect: `],
  ])('%s', (_what, change, start) => {
    const problems = problemsAfter(change)
    expect(problems.filter((problem) => problem.startsWith(start))).toHaveLength(1)
    expect(problems).toHaveLength(1)
  })

  test.each([[null], [[]], ['text'], [undefined], [7]])('a document that is %j', (document) => {
    expect(problemsOf(() => decoded(document))).toHaveLength(1)
  })
})

test('what is absent is nothing, or the strict choice', () => {
  const registry = registryAfter((d) => {
    d.grants = []
    d.agents = [{ client_id: 'bare', owner: 'x', environment: 'test' }]
    d.resources = [{ id: 'r', url: 'https://r.example', owner: 'x', tools: { t: {} } }]
    d.issuers = [{ issuer: 'https://i.example', slug: 'i', jwks_uri: 'https://i.example/jwks' }]
    d.users = []
  })
  expect(registry.agents[0]).toMatchObject({
    state: 'active',
    keys: [],
    grantTypes: [],
    apiScopes: [],
    keySets: [],
    secrets: [],
    legacyAssertionAudience: false,
    assertionReuse: undefined,
    certificateBound: false,
    manifest: [],
    delegates: [],
    standingIntent: undefined,
  })
  expect(registry.issuers[0]).toMatchObject({
    acceptsIdTokens: false,
    accessTokenScope: undefined,
    idJagScope: undefined,
    idJagTenant: undefined,
    algorithms: ['RS256', 'ES256'],
    otherAudiences: [],
    userAudience: undefined,
    adminAudience: undefined,
    users: 'listed',
    acceptsForeignActors: false,
    sessionMayOutliveSubject: false,
    givesAuthTime: true,
  })
  expect(registry.resources[0]).toMatchObject({
    project: 'default',
    enforces: 'scope',
    mode: 'shared',
    serverClient: undefined,
    senderConstraint: 'optional',
    revocationCheck: 'offline',
    standingIntent: undefined,
    signingAlg: 'ES256',
    accessTokenLifetimeSeconds: 300,
  })
})
