import { describe, expect, test } from 'vitest'
import { configAfter, problemsAfter, type Raw } from './document.ts'

test('what is not written has the strict or the stated default', () => {
  expect(configAfter(() => undefined)).toEqual({
    admins: [],
    auditExport: [],
    secondPerson: false,
    settings: {
      issuer: 'https://errand.example',
      environment: 'production',
      accessTokenSeconds: 300,
      sessionSeconds: 3600,
      delegationAcceptSeconds: 120,
      publicLog: false,
      requireCorrelation: false,
      strictlyNarrower: true,
      approvalSeconds: 300,
      approvalPendingSeconds: 900,
      maxChainDepth: 5,
      clientSecretBasic: false,
      apiKeys: false,
      suspendOverdue: false,
      orphanGraceSeconds: 14 * 86_400,
      callOutcomeSeconds: 60,
      drift: { contractAfter: 5, haltAfter: 10, windowSeconds: 3600 },
      capture: { prompt: 'off', arguments: 'off', response: 'off', trace: 'off' },
    },
    listen: { host: '127.0.0.1', port: 8080 },
    org: 'default',
    store: { kind: 'embedded', directory: '/etc/errand/data' },
    keys: { directory: '/etc/errand/keys' },
    registryPaths: ['/etc/errand/registry.yaml'],
    limits: {
      perSource: { perSecond: 20, burst: 500 },
      perSourceAndClient: { perSecond: 10, burst: 100 },
      perClient: { perSecond: 5_000, burst: 10_000 },
      perIssuer: { perSecond: 5_000, burst: 10_000 },
      refusalDelayMs: 500,
    },
    log: { level: 'info' },
    dpop: { nonce: 'off' },
    trustedProxies: [],
    retention: { keepMs: 365 * 86_400_000, keepRecords: undefined },
    witnesses: [],
    outbound: { allowLoopback: false, internalHosts: new Set() },
    development: false,
  })
})

describe('the issuer is one exact text (RFC 8414 §2)', () => {
  test.each([
    'https://errand.example',
    'https://errand.example/tenant',
    'http://127.0.0.1:8080',
    'http://localhost:1',
  ])('%s', (issuer) => {
    expect(configAfter((d) => (d.issuer = issuer)).settings.issuer).toBe(issuer)
  })

  test.each([
    'http://errand.example',
    'https://errand.example/',
    'https://errand.example/tenant/',
    'https://errand.example?x=1',
    'https://errand.example?',
    'https://errand.example#x',
    'https://user@errand.example',
    'https://ERRAND.example',
    'https://errand.example:443',
    'https://errand.example/a/../b',
    'errand.example',
    '',
    7,
  ])('%j is refused', (issuer) => {
    expect(problemsAfter((d) => (d.issuer = issuer))).toEqual([expect.stringMatching(/^errand\.yaml: issuer: /)])
  })
})

describe('a member that is not what it must be is refused by its path', () => {
  test.each<[string, (document: Raw) => void, string]>([
    ['an unknown key', (d) => (d.isuer = 'x'), 'isuer: unknown key; did you mean issuer?'],
    [
      'an unknown key below',
      (d) => (d.tokens = { access_token_second: 1 }),
      'tokens.access_token_second: unknown key; did you mean access_token_seconds?',
    ],
    ['a missing member', (d) => delete d.environment, 'environment: required'],
    ['no port', (d) => (d.listen = {}), 'listen.port: required'],
    ['a port that is none', (d) => (d.listen.port = 65536), 'listen.port: '],
    ['a port in text', (d) => (d.listen.port = '8080'), 'listen.port: '],
    [
      'access tokens that live too long',
      (d) => (d.tokens = { access_token_seconds: 901 }),
      'tokens.access_token_seconds: ',
    ],
    ['sessions that live too long', (d) => (d.tokens = { session_seconds: 86401 }), 'tokens.session_seconds: '],
    [
      'a delegation that waits too long',
      (d) => (d.tokens = { delegation_accept_seconds: 601 }),
      'tokens.delegation_accept_seconds: ',
    ],
    ['a life of no time', (d) => (d.tokens = { access_token_seconds: 0 }), 'tokens.access_token_seconds: '],
    ['a life in fractions', (d) => (d.tokens = { access_token_seconds: 1.5 }), 'tokens.access_token_seconds: '],
    ['chains that are too deep', (d) => (d.tokens = { max_chain_depth: 6 }), 'tokens.max_chain_depth: '],
    ['a switch that is text', (d) => (d.tokens = { strictly_narrower: 'no' }), 'tokens.strictly_narrower: '],
    ['an organisation with a colon (it is part of every store key)', (d) => (d.org = 'a:b'), 'org: '],
    ['a store of an unknown kind', (d) => (d.store = { kind: 'memory' }), 'store.kind: '],
    ['a store with a key of another kind', (d) => (d.store.url = 'redis://r'), 'store.url: unknown key'],
    ['Redis without URL', (d) => (d.store = { kind: 'redis' }), 'store: needs exactly one'],
    [
      'Redis with two URLs',
      (d) => (d.store = { kind: 'redis', url: 'redis://r', url_file: 'f' }),
      'store: needs exactly one',
    ],
    ['Redis over http', (d) => (d.store = { kind: 'redis', url: 'http://r' }), 'store.url: must be a redis'],
    ['no registry', (d) => (d.registry = []), 'registry: '],
    ['a log level that is none', (d) => (d.log = { level: 'trace' }), 'log.level: '],
    ['a proxy by name', (d) => (d.trusted_proxies = ['proxy.example']), 'trusted_proxies[0]: '],
    ['a network that is none', (d) => (d.trusted_proxies = ['10.0.0.0/8', '10.0.0.0/33']), 'trusted_proxies[1]: '],
    ['a network with two lengths', (d) => (d.trusted_proxies = ['10.0.0.0/8/8']), 'trusted_proxies[0]: '],
    [
      'certificates from a listener without TLS',
      (d) => (d.client_certificates = { from: 'tls' }),
      'client_certificates.from: needs listen.tls',
    ],
    [
      'certificates in a header that nobody is configured to write',
      (d) => (d.client_certificates = { from: 'client-cert' }),
      'client_certificates.from: needs trusted_proxies',
    ],
    [
      'certificates in a header of any name',
      (d) => Object.assign(d, { trusted_proxies: ['10.0.0.1'], client_certificates: { from: 'x-cert' } }),
      'client_certificates.from: ',
    ],
    [
      'certificates from nowhere',
      (d) => Object.assign(d, { trusted_proxies: ['10.0.0.1'], client_certificates: {} }),
      'client_certificates.from: ',
    ],
    [
      'loopback issuers in production',
      (d) => (d.outbound = { allow_loopback: true }),
      'outbound.allow_loopback: only in the environment named development',
    ],
    [
      'an internal host in capitals',
      (d) => (d.outbound = { internal_hosts: ['Idp.internal'] }),
      'outbound.internal_hosts[0]: ',
    ],
    [
      'an internal host as a URL',
      (d) => (d.outbound = { internal_hosts: ['https://a'] }),
      'outbound.internal_hosts[0]: ',
    ],
    [
      'an internal host with port 443',
      (d) => (d.outbound = { internal_hosts: ['a:443'] }),
      'outbound.internal_hosts[0]: ',
    ],
    ['an environment with spaces', (d) => (d.environment = 'my prod'), 'environment: '],
  ])('%s', (_what, change, problem) => {
    const problems = problemsAfter(change)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.startsWith(`errand.yaml: ${problem}`)).toBe(true)
  })

  test.each([
    'redis://user@r.example',
    'redis://:hunter2@r.example',
    'rediss://r.example?password=hunter2',
  ])('a password outside a file, which is not printed: %s', (url) => {
    const problems = problemsAfter((d) => (d.store = { kind: 'redis', url }))
    expect(problems).toEqual([
      expect.stringContaining('errand.yaml: store.url: must not carry a user name or password'),
    ])
    expect(problems.join()).not.toContain('hunter2')
  })

  test('every problem is reported at once', () => {
    const problems = problemsAfter((d) => {
      d.issuer += '/'
      d.listen = { host: '', prt: 1 }
      d.store = { kind: 'redis' }
    })
    expect(problems).toHaveLength(5)
  })
})

test('proxies are addresses or networks of either family', () => {
  const proxies = ['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', '::1']
  expect(configAfter((d) => (d.trusted_proxies = proxies)).trustedProxies).toEqual(proxies)
})

test('only the environment named development is development', () => {
  const config = configAfter((d) =>
    Object.assign(d, { environment: 'development', outbound: { allow_loopback: true } }),
  )
  expect([config.development, config.outbound.allowLoopback]).toEqual([true, true])
  expect(configAfter((d) => (d.environment = 'development-eu')).development).toBe(false)
})

describe('limits', () => {
  test('one member given keeps the default of the other; off is a word', () => {
    const limits = { per_source: { burst: 7 }, per_source_and_client: 'off' }
    expect(configAfter((d) => (d.limits = limits)).limits).toMatchObject({
      perSource: { perSecond: 20, burst: 7 },
      perSourceAndClient: undefined,
    })
  })

  test.each<[string, unknown, string]>([
    ['an unknown key', { per_source: { per_seconds: 1 } }, 'limits.per_source'],
    ['an unknown limit', { per_planet: 'off' }, 'limits'],
    ['nothing', { per_source: null }, 'limits.per_source: must be off'],
    ['false', { per_source: false }, 'limits.per_source'],
    ['no rate at all', { per_source: { per_second: 0 } }, 'limits.per_source.per_second'],
    ['a negative rate', { per_source: { per_second: -1 } }, 'limits.per_source.per_second'],
    ['an endless rate', { per_source: { per_second: Number.POSITIVE_INFINITY } }, 'limits.per_source: must be'],
    ['no burst', { per_source: { burst: 0 } }, 'limits.per_source.burst'],
    ['an endless delay', { refusal_delay_ms: 60_000 }, 'limits.refusal_delay_ms'],
    ['half a request', { per_source: { burst: 1.5 } }, 'limits.per_source: must be'],
  ])('%s is refused by name', (_what, limits, path) => {
    const problems = problemsAfter((d) => (d.limits = limits))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(path)
  })
})

describe('admins', () => {
  test('are users or groups, with roles', () => {
    const admins = [
      { user: 'corp:alice@corp.example', roles: ['viewer', 'security'] },
      { group: 'auditors', roles: ['viewer'] },
    ]
    expect(configAfter((d) => (d.admins = admins)).admins).toEqual(admins)
  })

  test.each<[string, unknown]>([
    ['a user without an issuer', { user: 'alice', roles: ['viewer'] }],
    ['a principal', { user: 'user:', roles: ['viewer'] }],
    ['both', { user: 'corp:alice', group: 'auditors', roles: ['viewer'] }],
    ['nobody', { roles: ['viewer'] }],
    ['no roles', { user: 'corp:alice', roles: [] }],
    ['roles that are not said', { user: 'corp:alice' }],
    ['an unknown role', { user: 'corp:alice', roles: ['root'] }],
    ['an unknown member', { user: 'corp:alice', roles: ['viewer'], password: 'x' }],
  ])('%s is refused by its place', (_what, admin) => {
    const problems = problemsAfter((d) => (d.admins = [admin]))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain('admins[0]')
  })
})
