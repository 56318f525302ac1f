/** The README's tables against the code: a setting, endpoint, reason, limit or command that is not true fails here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COMMANDS } from '../src/cli/commands.ts'
import { configDocument } from '../src/config/schema.ts'
import { WIRE } from '../src/http/rejection-map.ts'
import { EVENTS } from '../src/model/event-catalogue.ts'
import { startWorld, type World } from './support/world.ts'

const ROOT = resolve(import.meta.dirname, '..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

/** Rows of the table below a heading, as cells without markup of code. */
function table(heading: string): readonly (readonly string[])[] {
  const start = README.indexOf(heading)
  expect(start, `the README has a part ${heading}`).toBeGreaterThan(0)
  const lines = README.slice(start + heading.length).split('\n')
  const first = lines.findIndex((line) => line.startsWith('|'))
  const rows: string[][] = []
  for (const line of lines.slice(first + 2)) {
    if (!line.startsWith('|')) break
    rows.push(
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    )
  }
  return rows
}

const code = (cell: string | undefined) => (cell ?? '').replace(/^`|`$/g, '')

test('the error table is the rejection map', () => {
  const documented = table('### Errors').map(([reason, status, error]) => [code(reason), Number(status), code(error)])
  expect(documented).toEqual(Object.entries(WIRE).map(([reason, wire]) => [reason, wire.status, wire.error]))
})

test('the table of audit records is the catalogue of events', () => {
  const documented = table('### Audit records').map(([event, says, demands]) => [code(event), says, demands])
  const known = Object.entries(EVENTS).map(([event, { says, demands }]) => [
    event,
    says,
    demands.map((member) => `\`${member}\``).join(' '),
  ])
  expect(documented).toEqual(known)
})

test('every limit named has the value that is enforced', async () => {
  const rows = table('### Limits')
  const kernel = join(ROOT, 'src/kernel')
  const files = readdirSync(kernel).filter((name) => /^([a-z]+-)?limits\.ts$/.test(name))
  expect(files.length).toBeGreaterThan(3)
  const enforced = new Map<string, unknown>()
  for (const file of files) {
    const bounds: Record<string, unknown> = await import(pathToFileURL(join(kernel, file)).href)
    for (const [name, value] of Object.entries(bounds)) enforced.set(name, value)
  }
  expect(rows.length).toBeGreaterThan(10)
  for (const [name, value] of rows) {
    expect([code(name), Number(value)]).toEqual([code(name), enforced.get(code(name))])
  }
})

describe('settings', () => {
  const rows = table('### Settings').map(([key, standard]) => ({ key: code(key), standard: code(standard) }))
  const minimal = {
    issuer: 'https://errand.example',
    listen: { port: 1 },
    environment: 'production',
    store: { kind: 'embedded', directory: 'd' },
    keys: { directory: 'k' },
  }

  test('the table names every setting of the schema, and no other', () => {
    const named = new Set(rows.map(({ key }) => key))
    const decoded = configDocument.parse(minimal)
    const optional = [
      'store.url',
      'store.url_file',
      'store.ca_file',
      ...['name', 'hosts', 'tls', 'username', 'password_file'].map((key) => `store.sentinel.${key}`),
      ...['sentinel_username', 'sentinel_password_file'].map((key) => `store.sentinel.${key}`),
      'store.cluster.urls',
      'store.cluster.urls_file',
      'store.replicas',
      'audit.keep_records',
      'listen.tls.certificate_file',
      'listen.tls.key_file',
      'client_certificates.from',
      'client_certificates.endpoints',
      'external_pdp.url',
      'external_pdp.timeout_ms',
      'external_pdp.credential_file',
      'external_pdp.ca_file',
      ...['otlp_endpoint', 'headers_file', 'ca_file', 'sample_ratio'].map((key) => `telemetry.${key}`),
    ]
    const known = [...optional, 'metrics.host', 'metrics.port', 'metrics.token_file', ...leaves(decoded)]
    expect([...named].sort()).toEqual([...new Set(known)].sort())
  })

  test('defaults are the ones the schema gives', () => {
    const decoded = configDocument.parse(minimal) as Record<string, unknown>
    for (const { key, standard } of rows) {
      if (standard === '' || standard.startsWith('required')) continue
      const value = key.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], decoded)
      expect([key, typeof value === 'string' ? value : JSON.stringify(value)]).toEqual([key, standard])
    }
  })
})

function leaves(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path]
  return Object.entries(value).flatMap(([key, below]) => leaves(below, path === '' ? key : `${path}.${key}`))
}

/** `GET /{a,b}/:id` is two endpoints. */
function endpointsIn(cell: string | undefined): readonly (readonly [method: string, path: string])[] {
  const [method = '', path = ''] = code(cell).split(' ')
  const [, before = path, names, after = ''] = /^([^{]*)\{([^}]*)\}(.*)$/.exec(path) ?? []
  return (names?.split(',') ?? ['']).map((name) => [method, `${before}${name}${after}`] as const)
}

describe('endpoints', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  afterAll(() => world.close())

  test('every endpoint of the table is served, and no route is left out', () => {
    const documented = table('### Endpoints').flatMap(([endpoint]) => endpointsIn(endpoint).map(([, path]) => path))
    const served = world.broker.app.routes.map((route) => route.path)
    expect([...new Set(documented)].sort()).toEqual([...new Set(served)].sort())
  })

  test('each is served with the method the table gives it', async () => {
    for (const [endpoint] of table('### Endpoints')) {
      for (const [method, path] of endpointsIn(endpoint)) {
        const response = await world.broker.app.request(path, { method })
        expect([path, response.status]).not.toEqual([path, 404])
        expect([path, response.status]).not.toEqual([path, 405])
      }
    }
  })
})

test('the tree names every folder of src and test, and no other', () => {
  const block = README.slice(README.indexOf('## Source tree')).split('```')[1] ?? ''
  for (const root of ['src', 'test']) {
    const named = new Set<string>()
    for (const line of block.split('\n').filter((one) => one.startsWith(`${root}/`))) {
      // What it says of them comes after the last folder, or two spaces.
      const [folders = ''] = line.slice(root.length + 1).split(/ {2,}|\/ (?![\w-]+\/)/)
      for (const [, name = ''] of `${folders}/`.matchAll(/(?<![\w/-])([\w-]+)\//g)) named.add(name)
    }
    const there = readdirSync(join(ROOT, root), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect([...named].sort()).toEqual(there.map(({ name }) => name).sort())
  }
})

test('every command shown exists, and every file linked is there', () => {
  const commands = new Set([...README.matchAll(/errand -- ([a-z]+)|`errand ([a-z]+)/g)].map(([, a, b]) => a ?? b))
  const known = COMMANDS.map(({ name }) => name.split(' ')[0])
  expect([...commands].filter((command) => !known.includes(command ?? ''))).toEqual([])
  const links = [...README.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path = '']) => path)
  expect(links.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})

test('every npm script the README names is there', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const named = [...README.matchAll(/npm run (?:-s )?([a-z]+)/g)].map(([, name = '']) => name)
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([])
})

/** As GitHub makes anchors of headings: letters, digits and hyphens of the lower case, blanks become hyphens. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

test('every part that is linked to is there', () => {
  const prose = README.replaceAll(/^```[\s\S]*?^```$/gm, '')
  const parts = new Set([...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchor(heading)))
  const linked = [...prose.matchAll(/\]\(#([^)]+)\)/g)].map(([, part = '']) => part)
  expect(linked.length).toBeGreaterThan(5)
  expect(linked.filter((part) => !parts.has(part))).toEqual([])
})

test('the table of metrics has every one of the broker’s own, with its labels', async () => {
  const documented = table('### Metrics').map(([name, labels = '']) => [
    code(name),
    labels === '' ? [] : labels.split(' ').map((label) => code(label)),
  ])
  const counted = await startWorld({ metrics: { host: '127.0.0.1', port: 0, token: undefined } })
  try {
    const text = (await counted.broker.metrics?.text()) ?? ''
    const names = [...text.matchAll(/^# TYPE (errand_\w+) /gm)].map(([, name = '']) => name)
    const metrics = (counted.broker.metrics?.registry.getMetricsAsArray() ?? []) as unknown as readonly {
      readonly name: string
      readonly labelNames: readonly string[]
    }[]
    const labelsOf = (name: string) =>
      metrics.find((one) => one.name === name || `${one.name}_total` === name)?.labelNames
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(names.map((name) => [name, labelsOf(name)])))
  } finally {
    await counted.close()
  }
})
