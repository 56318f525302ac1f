/**
 * `bench policy`: what a decision costs among few and many grants that have nothing to do with it. The same questions are put
 * to registries that differ in those grants alone, in turn, in this process. And for how long loading many holds a broker up.
 */
import type { Authority } from '../../src/authority/authority.ts'
import type { DecisionId, ResourceUrl } from '../../src/kernel/ids.ts'
import { userPrincipal } from '../../src/kernel/ids.ts'
import type { Question } from '../../src/model/decision.ts'
import type { Registry } from '../../src/model/registry.ts'
import { askedAuthority } from '../../src/policy/asked.ts'
import { decide } from '../../src/policy/decide.ts'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import { ISSUER, keyPair } from './company.ts'
import { atMost, environment, median, rounded } from './figures.ts'
import { goalTable, type Output, table } from './output.ts'
import { type ReloadFigures, reload } from './reload.ts'

export interface PolicyOptions {
  readonly rounds: number
  readonly agents: number
  /** Decisions of one turn. */
  readonly exchanges: number
  /** Of the version that a running broker loads. */
  readonly grants: number
}

const COUNTS = [10, 1_000, 10_000, 100_000] as const
const SERVERS = 20
const USERS = 500
const GROUPS = 10
const NOW = 1_800_000_000
const TOOLS = ['query', 'list', 'get', 'search', 'create', 'update']

export async function policy(options: PolicyOptions, output: Output): Promise<unknown> {
  const key = keyPair('bench')
  const worlds = COUNTS.map((grants) => {
    output.progress(`a registry with ${grants} grants and ${options.agents} agents`)
    const begun = performance.now()
    const document = registryDocument(grants, options.agents, { ...key.publicJwk, version: '1' })
    const registry = decodeRegistry(document, 'bench', { issuer: ISSUER })
    return { grants, registry, loadMs: performance.now() - begun, costs: [] as number[], first: 0 }
  })
  for (const world of worlds) {
    // The first time anybody asks about anything: nothing found before can be of use.
    world.first = costOf(world.registry, options.exchanges)
    costOf(world.registry, options.exchanges)
  }
  for (let round = 0; round < options.rounds; round += 1) {
    output.progress(`round ${round + 1} of ${options.rounds}`)
    for (const world of worlds) world.costs.push(costOf(world.registry, options.exchanges))
  }
  const figures = worlds.map(({ grants, costs, first, loadMs }) => ({
    grants,
    decision_us: rounded(median(costs), 2),
    first_decision_us: rounded(first, 2),
    load_ms: rounded(loadMs, 0),
  }))
  const [few, many] = [figures[0]?.decision_us ?? 0, figures.at(-1)?.decision_us ?? 0]
  const reloaded = await reload(options, output)
  const goals = {
    decision_us_at_100k: atMost(many, 50),
    growth_100k_over_10: atMost(many / few, 2),
    // Whichever of the two brokers is held up longer.
    reload_pause_ms: atMost(Math.max(median(reloaded.publishing.pauses_ms), median(reloaded.loading.pauses_ms)), 50),
  }
  const rows = figures.map(({ grants, decision_us, first_decision_us, load_ms }) => [
    grants,
    decision_us,
    first_decision_us,
    load_ms,
  ])
  const costs = table([['grants', 'CPU µs per decision', 'asked first', 'load ms'], ...rows])
  output.say(`${costs}\n\n${reloadText(reloaded)}\n\n${goalTable(goals)}`)
  return { bench: 'policy', environment: environment(), agents: options.agents, figures, reload: reloaded, goals }
}

function reloadText({ grants, publish_and_load_ms, publishing, loading }: ReloadFigures): string {
  const rows = Object.entries({ publishing, loading }).flatMap(([who, pauses]) => [
    [who, pauses.pauses_ms.join(', '), pauses.own_pauses_ms.join(', ')],
    [`${who} nothing`, pauses.quiet_pauses_ms.join(', '), pauses.quiet_own_pauses_ms.join(', ')],
  ])
  const head = [`${grants} grants`, 'longest pauses ms', 'less the wait for a core']
  return `${table([head, ...rows])}\npublished and loaded in ${publish_and_load_ms} ms`
}

/** CPU µs of this process per decision, over `count` questions about everybody and everything in turn. */
function costOf(registry: Registry, count: number): number {
  const questions = Array.from({ length: count }, (_, n) => questionOf(registry, n))
  const before = process.cpuUsage()
  let allowed = 0
  for (const question of questions) if (decide(registry, question).outcome === 'allow') allowed += 1
  const { user, system } = process.cpuUsage(before)
  if (allowed !== count) throw new Error(`${count - allowed} of ${count} questions were refused`)
  return (user + system) / count
}

function questionOf(registry: Registry, n: number): Question {
  const agent = registry.agents[(n * 7) % registry.agents.length]
  const issuer = registry.issuerBySlug('corp')
  const sub = `user-${(n * 13) % USERS}`
  const user = issuer && registry.user(issuer, sub)
  if (agent === undefined || user === undefined) throw new Error('a question about nobody')
  const url = serverUrl(n % SERVERS)
  const asked: Authority = askedAuthority(
    { registry, environment: 'production' },
    new Map([[url, { tools: new Map(TOOLS.slice(0, 3).map((tool) => [tool, new Map()])), limits: {} }]]),
    NOW + 300,
    0,
  )
  return {
    id: `dec_${n}` as DecisionId,
    now: NOW,
    environment: 'development',
    agent,
    chain: [],
    services: [],
    subject: userPrincipal('corp', sub),
    user,
    asked,
    askedExplicitly: true,
    container: undefined,
    risk: undefined,
    parent: undefined,
    ceiling: undefined,
    target: url,
    external: { kind: 'none' },
    atCall: false,
    contracted: false,
  }
}

const serverUrl = (n: number) => `https://server-${n}.example/mcp` as ResourceUrl
const numbered = <T>(count: number, make: (n: number) => T) => Array.from({ length: count }, (_, n) => make(n))

function registryDocument(grants: number, agents: number, key: object): unknown {
  return {
    issuers: [{ issuer: 'https://idp.example', slug: 'corp', jwks_uri: 'https://idp.example/jwks' }],
    users: numbered(USERS, (n) => ({
      issuer: 'corp',
      sub: `user-${n}`,
      groups: ['everyone', `team-${n % GROUPS}`],
      roles: [`role-${n % 7}`],
    })),
    // Twice as many as are asked about.
    resources: numbered(2 * SERVERS, (n) => ({
      id: `server-${n}`,
      url: serverUrl(n),
      owner: `team-${n % GROUPS}`,
      project: `project-${n % 4}`,
      enforces: 'arguments',
      tools: Object.fromEntries(TOOLS.map((tool, at) => [tool, { category: at < 4 ? 'read' : 'write' }])),
    })),
    agents: numbered(agents, (n) => ({
      client_id: `agent-${n}`,
      owner: `team-${n % GROUPS}`,
      environment: 'development',
      keys: [key],
      manifest: [{ server: '*', category: 'read' }],
    })),
    grants: [...concerned(), ...unconcerned(Math.max(grants - concerned().length, 0))],
  }
}

function concerned(): readonly unknown[] {
  return [
    allow('everyone-reads', { group: 'everyone' }, { server: '*', category: 'read' }),
    ...numbered(5, (n) => allow(`team-${n}-writes`, { group: `team-${n}` }, { server: '*', category: 'write' })),
    ...numbered(3, (n) => ({
      ...allow(`nobody-updates-${n}`, { group: 'everyone' }, { server: `server-${n}`, tool: 'update' }),
      effect: 'deny',
    })),
  ]
}

/** The people who ask, at servers nobody asks about; others, at servers that are asked about; others elsewhere. */
function unconcerned(count: number): readonly unknown[] {
  return numbered(count, (n) => {
    const elsewhere = { server: `server-${SERVERS + (n % SERVERS)}`, tool: TOOLS[n % TOOLS.length] }
    const here = { server: `server-${n % SERVERS}`, tool: TOOLS[n % TOOLS.length] }
    const other = n % 2 === 0 ? { group: `other-${n % 5_000}` } : { role: `other-${n % 5_000}` }
    const [principal, selector] =
      n % 3 === 0 ? [{ group: `team-${n % GROUPS}` }, elsewhere] : [other, n % 3 === 1 ? here : elsewhere]
    return { ...allow(`more-${n}`, principal, selector), effect: n % 10 === 0 ? 'deny' : 'allow' }
  })
}

function allow(id: string, principal: object, selector: object) {
  return { id, effect: 'allow', principals: [principal], resources: [selector], reason: 'bench' }
}
