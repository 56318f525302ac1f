/**
 * The drill of revoking as whoever runs it sees it: two brokers as processes on one Redis, trees of tokens in sessions of its
 * own, verifiers that ask and verifiers that follow; and a broker that stands still while it runs.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { childEnvironment } from '../support/child.ts'
import { errand, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { privateJwk, publicJwk, testKey } from '../support/keys.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'

const SERVER = 'https://warehouse.example/mcp'
const DRILL = ['drill', 'revoke', '--client', 'drill-agent', '--resource', SERVER, '--server', 'warehouse-server']
const TREES = ['--workload-issuer', 'https://drill.example', '--sub-agent', 'drill-helper']
let directory: string
let redis: RunningRedis
let brokers: readonly Serving[]
let bases: readonly string[]
const run = (...args: string[]) => errand(args, { cwd: directory })
const done = async (...args: string[]) => expect(await run(...args)).toMatchObject({ code: 0 })
const both = () => bases.flatMap((base) => ['--broker', base])

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-drill-'))
  redis = await startRedis()
  const ports = [await freePort(), await freePort()]
  bases = ports.map((port) => `http://127.0.0.1:${port}`)
  const server = ['--server', SERVER, '--tools', 'query:read,insert:write', '--port', String(ports[0])]
  await done('init', '--yes', '--agent', 'drill-agent', '--owner', 'platform', ...server)
  await done('agent', 'add', 'drill-helper', '--owner', 'platform', '--manifest', 'warehouse')
  await done('service', 'add', 'warehouse-server', '--resource', 'warehouse', '--follow')
  change('registry.yaml', withDrill)
  const store = `{ kind: redis, url: "${redis.url}" }`
  change('errand.yaml', (text) => text.replace('{ kind: embedded, directory: ./data }', store))
  const second = readFileSync(join(directory, 'errand.yaml'), 'utf8').replace(`port: ${ports[0]}`, `port: ${ports[1]}`)
  writeFileSync(join(directory, 'second.yaml'), second)
  brokers = [
    await serveErrand([], directory),
    await serveErrand(['--config', join(directory, 'second.yaml')], directory),
  ]
})
afterAll(async () => {
  for (const broker of brokers ?? []) broker.signal('SIGKILL')
  await Promise.all((brokers ?? []).map((broker) => broker.ended))
  await redis?.stop()
  rmSync(directory, { recursive: true, force: true })
})

function change(name: string, by: (text: string) => string): void {
  const path = join(directory, name)
  const text = readFileSync(path, 'utf8')
  const changed = by(text)
  expect(changed).not.toBe(text)
  writeFileSync(path, changed)
}

/** As README says it. */
function withDrill(text: string): string {
  const jwk = JSON.parse(readFileSync(join(directory, 'agents/drill-agent.jwk.json'), 'utf8'))
  const { kid, alg, use, kty, crv, x, y } = jwk
  writeFileSync(join(directory, 'drill.jwks.json'), JSON.stringify({ keys: [{ kid, alg, use, kty, crv, x, y }] }))
  const entry = '{ issuer: https://drill.example, slug: drill, platform: oidc, jwks_file: ./drill.jwks.json }'
  const workloads = '    workloads: [{ issuer: drill, version: "1", match: { sub: drill-agent } }]\n'
  const grants = '    grant_types: [client_credentials, token-exchange]\n    delegates: [drill-helper]\n'
  const blind = testKey('blind-1')
  writeFileSync(join(directory, 'agents/blind-server.jwk.json'), JSON.stringify(privateJwk(blind)), { mode: 0o600 })
  const service = { client_id: 'blind-server', keys: [{ ...publicJwk(blind), version: '1' }] }
  return `${text
    .replace('    grant_types: [client_credentials]\n', workloads + grants)
    .replace('          query: {}\n', '          query: {}\n          insert: {}\n')
    .trimEnd()}
  - ${JSON.stringify(service)}
workload_issuers:
  - ${entry}
`
}

/** Sessions that are not over and not among those. */
async function open(known: readonly string[] = []): Promise<readonly string[]> {
  const { sessions } = JSON.parse((await run('sessions', '--json')).out)
  const live = sessions.filter(({ state }: { state: string }) => state === 'active' || state === 'contracted')
  return live.map(({ session }: { session: string }) => session).filter((id: string) => !known.includes(id))
}

test('trees of tokens die at every broker, for who asks and for who follows, and nothing is left open', async () => {
  const drilled = await run(...DRILL, ...TREES, ...both(), '--rounds', '2', '--max-seconds', '30', '--json')
  expect(drilled.err).toBe('')
  const found = JSON.parse(drilled.out)
  expect([drilled.code, found]).toEqual([
    0,
    {
      ok: true,
      rounds: 2,
      revocations: 4,
      hops_per_tree: 2,
      tokens: 24,
      max_seconds: 30,
      worst_accepted_ms: expect.any(Number),
      worst_dead_ms: expect.any(Number),
      verifiers: bases.flatMap((broker) =>
        ['introspection', 'feed'].map((by) => ({
          broker,
          by,
          accepted_ms: { median: expect.any(Number), worst: expect.any(Number) },
          dead_ms: expect.any(Number),
        })),
      ),
    },
  ])
  expect(found.worst_dead_ms).toBeGreaterThan(0)
  expect(await open()).toEqual([])
})

test('an agent without evidence drills with single tokens, and a person reads a table', async () => {
  const drilled = await run(...DRILL, '--rounds', '1')
  expect([drilled.code, drilled.err]).toEqual([0, ''])
  expect(drilled.out).toMatch(/^1 revocation of 3 tokens each, 1 hop deep; in milliseconds/)
  expect(drilled.out).toMatch(/127\.0\.0\.1:\d+ {2}introspection +\d+ +\d+ +\d+\n/)
  expect(drilled.out).toMatch(/127\.0\.0\.1:\d+ {2}feed +\d+ +\d+ +\d+\n/)
  expect(drilled.out).toMatch(/worst: last accepted after \d+ ms, dead at every verifier by \d+ ms/)
})

test('a broker that stands still when it is revoked is past the bound, and named', async () => {
  const [first = '', second = ''] = bases
  const paused = brokers[1]
  const front = await frontOf(first, (path) => {
    if (path === '/revoke') paused?.signal('SIGSTOP')
  })
  try {
    const address = `http://127.0.0.1:${(front.address() as AddressInfo).port}`
    const asked = [...DRILL, ...TREES, '--broker', second, '--broker', address, '--rounds', '1', '--max-seconds', '6.5']
    const drilled = await run(...asked)
    expect(drilled.code, drilled.err).toBe(1)
    expect(drilled.out).toContain(`past the bound of 6.5 s at ${second} by introspection, ${second} by feed: `)
    // Its verifiers refuse when what they know is too old; that is no word about these tokens.
    const believed = new RegExp(`${second} {2}feed +(\\d+) +\\1 +never\\n`).exec(drilled.out)?.[1]
    expect(Number(believed), drilled.out).toBeGreaterThan(2_000)
    expect(Number(believed)).toBeLessThan(6_000)
    expect(drilled.out).toMatch(new RegExp(`${first.replace(/:\d+$/, '')}:\\d+ {2}feed +\\d+ +\\d+ +\\d+\\n`))
  } finally {
    paused?.signal('SIGCONT')
    front.closeAllConnections()
    front.close()
  }
})

test('a drill that is interrupted ends what it has opened', async () => {
  const args = [join(resolve(import.meta.dirname, '../..'), 'src/main.ts'), ...DRILL, ...TREES, '--rounds', '1000']
  const child = spawn(process.execPath, args, { cwd: directory, env: childEnvironment(), stdio: 'pipe' })
  let err = ''
  child.stderr.on('data', (chunk) => {
    err += chunk
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  const before = await open()
  let opened = await open(before)
  while (opened.length === 0) opened = await open(before)
  child.kill('SIGINT')
  expect(await ended).toBe(1)
  expect(err).toContain('stopped; the drill has ended what it had opened')
  expect(await open(before)).toEqual([])
})

test('an error says what to do next', async () => {
  const asOther = (...more: string[]) => run(...DRILL.slice(0, -1), ...more)
  const blind = await asOther('blind-server')
  expect([blind.code, blind.out]).toEqual([1, ''])
  expect(blind.err).toContain('api_scopes: [revocations]')
  const foreign = await asOther('blind-server', '--by', 'introspection')
  expect(foreign.code).toBe(1)
  expect(foreign.err).toContain('is --server the server_client of --resource')
  const helpless = await run(...DRILL, '--client-typo', 'x')
  expect(helpless.code).toBe(2)
  const lonely = await run(...DRILL, '--sub-agent', 'drill-helper')
  expect([lonely.code, lonely.err]).toEqual([2, expect.stringContaining('--workload-issuer')])
  const unable = ['drill', 'revoke', '--client', 'drill-helper', '--resource', SERVER, '--server', 'warehouse-server']
  const refused = await run(...unable)
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('needs client_credentials')])
})

/** Before a broker, and told of each request before that is. */
async function frontOf(base: string, told: (path: string) => void): Promise<Server> {
  const front = createServer((incoming, response) => {
    told(incoming.url ?? '')
    const { method, headers, url } = incoming
    const outgoing = request(`${base}${url}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => response.destroy())
    incoming.pipe(outgoing)
  })
  await new Promise<void>((listening) => front.listen(0, '127.0.0.1', listening))
  return front
}
