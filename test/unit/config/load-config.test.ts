import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { configPath, loadConfig, loadRegistryFiles } from '../../../src/config/load-config.ts'
import { problemsOf } from './document.ts'

const directory = mkdtempSync(join(tmpdir(), 'errand-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

function write(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text, { mode: 0o640 })
  return path
}

const BASE = `
issuer: https://errand.example
listen: { port: 8080 }
environment: production
keys: { directory: ./keys }
`
const EMBEDDED = `${BASE}store: { kind: embedded, directory: data }\n`

describe('the file', () => {
  test('makes its paths relative to itself, not to where the broker was started', () => {
    mkdirSync(join(directory, 'etc'))
    const config = loadConfig(write('etc/errand.yaml', `${EMBEDDED}registry: [../a.yaml, /srv/b.yaml]\n`))
    expect(config.keys.directory).toBe(join(directory, 'etc/keys'))
    expect(config.store).toEqual({ kind: 'embedded', directory: join(directory, 'etc/data') })
    expect(config.registryPaths).toEqual([join(directory, 'a.yaml'), '/srv/b.yaml'])
  })

  test('is refused when it says one thing twice', () => {
    expect(problemsOf(() => loadConfig(write('twice.yaml', `${EMBEDDED}environment: development\n`)))).toEqual([
      expect.stringContaining('twice.yaml: Map keys must be unique'),
    ])
  })

  test('is refused when it is not there, or is empty', () => {
    expect(problemsOf(() => loadConfig(join(directory, 'none.yaml')))).toEqual([
      `no configuration at ${join(directory, 'none.yaml')}: name one with --config, or write one with errand init`,
    ])
    expect(problemsOf(() => loadConfig(write('empty.yaml', '')))).toHaveLength(1)
  })

  test('once read, cannot be changed', () => {
    const config = loadConfig(write('frozen.yaml', EMBEDDED))
    for (const part of [config, config.settings, config.listen, config.store, config.registryPaths, config.outbound]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })
})

describe('the URL of Redis', () => {
  const redis = (file: string) => `${BASE}store: { kind: redis, url_file: ${file} }\n`

  test('comes from a file when it has a password, and does not print itself', () => {
    write('redis-url', 'rediss://:hunter2@redis.example:6380/0\n')
    const { store } = loadConfig(write('redis.yaml', redis('redis-url')))
    if (store.kind !== 'redis' || !('url' in store)) throw new Error('not Redis')
    expect(store.url.reveal()).toBe('rediss://:hunter2@redis.example:6380/0')
    expect(`${inspect(store)} ${JSON.stringify(store)}`).not.toContain('hunter2')
  })

  test('without a password may be written out', () => {
    const { store } = loadConfig(write('plain.yaml', `${BASE}store: { kind: redis, url: "redis://127.0.0.1:6379" }\n`))
    expect(store.kind === 'redis' && 'url' in store && store.url.reveal()).toBe('redis://127.0.0.1:6379')
  })

  test('is refused when its file is missing or holds something else, which is not printed', () => {
    expect(problemsOf(() => loadConfig(write('r1.yaml', redis('nowhere'))))).toEqual([
      `r1.yaml: store.url_file: ${join(directory, 'nowhere')}: cannot be read (ENOENT)`,
    ])
    write('open', 'rediss://:hunter2@redis.example')
    chmodSync(join(directory, 'open'), 0o644)
    expect(problemsOf(() => loadConfig(write('r0.yaml', redis('open'))))).toEqual([
      `r0.yaml: store.url_file: ${join(directory, 'open')}: mode 644 lets everybody read a secret; run chmod 600 on it`,
    ])
    write('pasted', 'hunter2')
    expect(problemsOf(() => loadConfig(write('r2.yaml', redis('pasted'))))).toEqual([
      "r2.yaml: store.url_file: the file's content must be a redis:// or rediss:// URL",
    ])
  })
})

describe('a Redis of several servers', () => {
  const document = (store: string) => `${BASE}store: { kind: redis, ${store} }\n`

  test('by Sentinels: passwords come from files and do not print themselves', () => {
    write('redis-password', 'hunter2\n')
    write('sentinel-password', 'hunter3\n')
    const passwords = 'username: errand, password_file: redis-password, sentinel_password_file: sentinel-password'
    const sentinel = `sentinel: { name: main, hosts: ["10.0.0.1:26379", "[::1]:26380"], tls: true, ${passwords} }`
    const { store } = loadConfig(write('s1.yaml', document(sentinel)))
    if (store.kind !== 'redis' || !('sentinel' in store)) throw new Error('not Sentinel')
    const { password, sentinelPassword, ...rest } = store.sentinel
    expect(rest).toEqual({ name: 'main', hosts: ['10.0.0.1:26379', '[::1]:26380'], tls: true, username: 'errand' })
    expect([password?.reveal(), sentinelPassword?.reveal()]).toEqual(['hunter2', 'hunter3'])
    expect(`${inspect(store)} ${JSON.stringify(store)}`).not.toMatch(/hunter/)
  })

  test('a cluster: its URLs from a file, one a line, or written out', () => {
    write('cluster-urls', 'rediss://:hunter2@a.example:6379\nrediss://:hunter2@b.example:6379\n')
    const stores = ['{ urls_file: cluster-urls }', '{ urls: ["redis://a.example", "redis://b.example:6380"] }'].map(
      (cluster, n) => loadConfig(write(`c${n}.yaml`, document(`cluster: ${cluster}`))).store,
    )
    const urls = stores.map((store) => {
      if (store.kind !== 'redis' || !('cluster' in store)) throw new Error('no cluster')
      return store.cluster.map((url) => url.reveal())
    })
    expect(urls).toEqual([
      ['rediss://:hunter2@a.example:6379', 'rediss://:hunter2@b.example:6379'],
      ['redis://a.example', 'redis://b.example:6380'],
    ])
    expect(`${inspect(stores)} ${JSON.stringify(stores)}`).not.toMatch(/hunter/)
  })

  test('what they acknowledge is on a replica, unless the operator says otherwise', () => {
    const servers = ['sentinel: { name: main, hosts: ["a:1"] }', 'cluster: { urls: ["redis://a"] }', 'url: "redis://a"']
    const given = servers.flatMap((server) => [server, `${server}, replicas: 0`, `${server}, replicas: 2`])
    const stores = given.map((store, n) => loadConfig(write(`r${n}.yaml`, document(store))).store)
    expect(stores.map((store) => store.kind === 'redis' && store.replicas)).toEqual([1, 0, 2, 1, 0, 2, 0, 0, 2])
  })

  test.each([
    ['url: "redis://a", replicas: -1', 'store.replicas: '],
    ['cluster: { urls: ["redis://a", "rediss://b"] }', 'store.cluster: its URLs must agree'],
    ['cluster: { urls: ["redis://a/2"] }', 'store.cluster: a Redis Cluster has database 0 only'],
    ['cluster: {}', 'store.cluster: needs exactly one of urls and urls_file'],
    ['cluster: { urls: [] }', 'store.cluster.urls: '],
    ['cluster: { urls: ["redis://:hunter2@a"] }', 'store.cluster.urls[0]: must not carry a user name or password'],
    ['cluster: { urls: ["redis://a"] }, url: "redis://a"', 'store: needs exactly one of url, url_file, sentinel and'],
    ['cluster: { urls: ["redis://a"] }, ca_file: redis-password', 'store.ca_file: goes with a rediss:// URL'],
    ['sentinel: { name: main, hosts: [] }', 'store.sentinel.hosts: '],
    ['sentinel: { name: main, hosts: ["a"] }', 'store.sentinel.hosts[0]: must be HOST:PORT'],
    ['sentinel: { name: main, hosts: ["redis://a:1"] }', 'store.sentinel.hosts[0]: must be HOST:PORT'],
    ['sentinel: { name: main, hosts: ["a:1"], password: hunter2 }', 'store.sentinel.password: '],
    ['sentinel: { name: main, hosts: ["a:1"], password_file: nowhere }', 'store.sentinel.password_file: '],
    [
      'sentinel: { name: main, hosts: ["a:1"] }, ca_file: redis-password',
      'store.ca_file: goes with store.sentinel.tls',
    ],
  ])('%s', (store, problem) => {
    const problems = problemsOf(() => loadConfig(write('wrong.yaml', document(store))))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`wrong.yaml: ${problem}`)
    expect(problems.join()).not.toContain('hunter2')
  })
})

describe('the registry', () => {
  test('is read from all its files, with the issuer and the token life of the configuration', () => {
    write('people.yaml', 'users: [{ issuer: corp, sub: alice }]')
    write('idps.yaml', 'issuers: [{ issuer: "https://idp.example", slug: corp, jwks_uri: "https://idp.example/jwks" }]')
    write('servers.yaml', 'resources: [{ id: r, url: "https://r.example", owner: x }]')
    const text = `${EMBEDDED}registry: [people.yaml, idps.yaml, servers.yaml]\ntokens: { access_token_seconds: 60 }\n`
    const registry = loadRegistryFiles(loadConfig(write('with-registry.yaml', text)))
    expect(registry.issuers).toHaveLength(1)
    expect(registry.resources[0]?.accessTokenLifetimeSeconds).toBe(60)
    write('servers.yaml', 'resources: [{ id: r, url: "https://errand.example/api", owner: x }]')
    expect(problemsOf(() => loadRegistryFiles(loadConfig(join(directory, 'with-registry.yaml'))))).toEqual([
      'servers.yaml: resources[0].url: belongs to the broker itself',
    ])
  })

  test('has the problems of all its files reported at once', () => {
    write('bad1.yaml', 'a: 1\na: 2')
    write('bad2.yaml', 'b: [')
    const problems = problemsOf(() =>
      loadRegistryFiles(loadConfig(write('bad.yaml', `${EMBEDDED}registry: [bad1.yaml, bad2.yaml, bad3.yaml]\n`))),
    )
    for (const name of ['bad1.yaml', 'bad2.yaml', 'bad3.yaml']) {
      expect(problems.some((problem) => problem.includes(name))).toBe(true)
    }
  })
})

describe('which file', () => {
  const before = process.env['ERRAND_CONFIG']
  afterEach(() => {
    if (before === undefined) delete process.env['ERRAND_CONFIG']
    else process.env['ERRAND_CONFIG'] = before
  })

  test('is the one given, else that of ERRAND_CONFIG, else ./errand.yaml', () => {
    delete process.env['ERRAND_CONFIG']
    expect(configPath(undefined)).toBe('./errand.yaml')
    process.env['ERRAND_CONFIG'] = '/etc/errand.yaml'
    expect(configPath(undefined)).toBe('/etc/errand.yaml')
    expect(configPath('/given.yaml')).toBe('/given.yaml')
  })
})
