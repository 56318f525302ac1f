/**
 * Policy documents and questions from small pools, so that rules often meet on one tool. Every constraint of the pool admits
 * some call of `CALLS` and refuses another: what two of them leave can be told by trying.
 */
import fc from 'fast-check'
import { RISK_LEVELS, type RiskLevel } from '../../src/model/risk.ts'
import { LATER, NOW, type Raw, type Wanted, worldDocument } from '../unit/policy/world.ts'

type Constraints = Readonly<Record<string, Readonly<Record<string, unknown>>>>

const CONSTRAINTS: readonly Constraints[] = [
  {},
  {},
  { x: { maximum: 2 }, '*': {} },
  { x: { minimum: 3 }, '*': {} },
  { y: { const: 'a' }, '*': {} },
  { y: { enum: ['b'] }, '*': {} },
  { x: { maximum: 3 }, y: {} },
  { x: {} },
]

const present = <T>(values: readonly T[]) => values.map((value) => (value === undefined ? [] : [value]))
/** Arguments around every boundary of the pool, `z` for what no rule names. */
export const CALLS: readonly Readonly<Record<string, unknown>>[] = present([undefined, 1, 2, 3, 4, 'a']).flatMap((x) =>
  present([undefined, 'a', 'b']).flatMap((y) =>
    present([undefined, 1]).map((z) => ({
      ...(x.length === 0 ? {} : { x: x[0] }),
      ...(y.length === 0 ? {} : { y: y[0] }),
      ...(z.length === 0 ? {} : { z: z[0] }),
    })),
  ),
)

export const constraints = fc.constantFrom(...CONSTRAINTS)
const PROJECTS = ['analytics', 'data', 'lab', 'deep']
/** Of the warehouse. `a` and `b` are also values of an argument; `files` has an `a` of its own. */
const CONTAINERS = ['a', 'b', 'c', 'd', 'e']

/** Mostly the first, so that most random worlds still grant something. */
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) })

/** Absent three times of four: each bound that is there leaves less to be allowed. */
const orNothing = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

/** Nodes in any order, each below one that was drawn before it or below none. */
export function forest(ids: readonly string[]): fc.Arbitrary<{ readonly id: string; readonly parent?: string }[]> {
  return fc
    .tuple(
      fc.shuffledSubarray([...ids], { minLength: ids.length }),
      fc.array(fc.nat(), { minLength: ids.length, maxLength: ids.length }),
    )
    .map(([order, picks]) =>
      order.map((id, index) => {
        const parent = order[(picks[index] ?? 0) % (index + 1)]
        return { id, ...(parent === undefined || parent === id ? {} : { parent }) }
      }),
    )
}

const selector: fc.Arbitrary<Raw> = fc.oneof(
  { weight: 7, arbitrary: fc.constant({ server: '*' }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom('warehouse', 'slack', 'files', 'notes').map((server) => ({ server })),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('read', 'write', 'destructive').map((category) => ({ category })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('query', 'post', 'get', 'note').map((tool) => ({ tool })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...PROJECTS).map((project) => ({ project, category: 'read' })),
  },
  { weight: 2, arbitrary: fc.constantFrom(...PROJECTS, 'default').map((project) => ({ project })) },
  { weight: 2, arbitrary: fc.constantFrom(...CONTAINERS).map((container) => ({ server: 'warehouse', container })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      { server: 'warehouse', container: 'a', tool: 'query' },
      { server: 'warehouse', container: 'c', category: 'write' },
      { server: 'files', container: 'a' },
    ),
  },
)

const principal: fc.Arbitrary<Raw> = fc.constantFrom(
  { group: 'finance' },
  { group: 'finance' },
  { role: 'analyst' },
  { user: 'corp:alice' },
  { user: 'corp:bob' },
  { group: 'nobody' },
  { agent: 'orchestrator' },
  { owner: 'alice@corp.example' },
  { agent: 'planner' },
)

const iso = (seconds: number) => new Date(seconds * 1000).toISOString()
const when: fc.Arbitrary<Raw> = mostly<Raw>(
  {},
  { not_before: iso(NOW) },
  { not_before: iso(NOW + 1) },
  { not_after: iso(NOW) },
  { not_after: iso(NOW + 100) },
  { environment: 'production' },
  { environment: 'staging' },
)

const risk = fc.constantFrom<(RiskLevel | undefined)[]>(undefined, undefined, undefined, ...RISK_LEVELS)
/** An allow is for so much risk at most, a deny for so much at least. */
const riskIn = (effect: string, level: RiskLevel | undefined): Raw =>
  level === undefined ? {} : { risk: effect === 'deny' ? { at_least: level } : { at_most: level } }

const grant: fc.Arbitrary<Raw> = fc
  .record({
    effect: mostly('allow', 'deny'),
    principals: fc.array(principal, { minLength: 1, maxLength: 3 }),
    resources: fc.array(selector, { minLength: 1, maxLength: 2 }),
    when,
    risk,
    constraints,
  })
  .map(({ constraints: limits, risk: level, ...rest }) => {
    const made = { ...rest, when: { ...rest.when, ...riskIn(rest.effect, level) } }
    return rest.effect === 'deny' ? made : { ...made, constraints: limits }
  })

/** Many rules about few people, half of them denies: they meet, repeat and leave nothing of each other. */
export const crowdedGrants: fc.Arbitrary<Raw[]> = fc
  .array(
    fc.record({
      effect: fc.constantFrom('allow', 'allow', 'deny'),
      principals: fc.array(principal, { minLength: 1, maxLength: 2 }),
      resources: fc.array(
        fc.oneof(selector, fc.constantFrom({ category: 'admin', server: 'slack' }, { tool: 'query' })),
        {
          minLength: 1,
          maxLength: 2,
        },
      ),
      when: mostly<Raw>(
        {},
        { not_before: iso(NOW - 5) },
        { not_before: iso(NOW + 1) },
        { not_before: iso(NOW + 1), environment: 'nowhere' },
        { not_after: iso(NOW) },
        { not_after: iso(NOW + 100) },
        { not_before: iso(NOW + 1), not_after: iso(NOW + 100) },
        { environment: 'production' },
        { environment: 'staging' },
        { environment: 'nowhere' },
      ),
      constraints,
    }),
    { minLength: 2, maxLength: 12 },
  )
  .map((drawn) =>
    drawn.map(({ constraints: limits, ...rest }, index) => ({
      ...rest,
      ...(rest.effect === 'deny' ? {} : { constraints: limits }),
      id: `g${index}`,
    })),
  )

export const denyGrant: fc.Arbitrary<Raw> = grant.map(({ constraints: _, ...rest }) => ({
  ...rest,
  when: { ...rest.when, ...riskIn('deny', rest.when.risk?.at_most ?? rest.when.risk?.at_least) },
  id: 'added-deny',
  effect: 'deny',
}))

const resourceChange: fc.Arbitrary<Raw> = fc.record({
  state: mostly('active', 'testing', 'suspended', 'retired'),
  project: fc.constantFrom('default', ...PROJECTS),
  enforces: fc.constantFrom('scope', 'tools', 'arguments', 'arguments', 'calls'),
  mode: mostly('shared', 'personal'),
})

const manifest: fc.Arbitrary<Raw[]> = fc.array(
  fc.tuple(selector, constraints).map(([selected, limits]) => ({ ...selected, constraints: limits })),
  { minLength: 1, maxLength: 3 },
)

export const document: fc.Arbitrary<Raw> = fc
  .record({
    resources: fc.tuple(resourceChange, resourceChange, resourceChange, resourceChange),
    dropDelegable: fc.boolean(),
    queryDelegable: mostly(true, false),
    queryApproval: mostly('none', 'required'),
    state: mostly('active', 'testing', 'suspended'),
    planner: mostly('active', 'testing', 'draft'),
    plannerManifest: mostly([{ server: '*' }], [{ project: 'data' }], [{ category: 'read', constraints: { x: {} } }]),
    projects: forest(PROJECTS),
    containers: forest(CONTAINERS),
    saysWhere: fc.boolean(),
    environment: mostly('production', 'staging'),
    manifest,
    alice: mostly(true, false),
    grants: fc.array(grant, { minLength: 1, maxLength: 6 }),
  })
  .map((drawn) => {
    const made = worldDocument()
    for (const [index, resource] of made.resources.entries()) Object.assign(resource, drawn.resources[index])
    made.resources[0].tools.drop_table.delegable = drawn.dropDelegable
    made.resources[0].tools.query.delegable = drawn.queryDelegable
    made.resources[0].tools.query.approval = drawn.queryApproval
    Object.assign(made.agents[0], {
      state: drawn.state,
      environment: drawn.environment,
      manifest: drawn.manifest,
    })
    Object.assign(made.agents[1], {
      state: drawn.planner,
      environment: drawn.environment,
      manifest: drawn.plannerManifest,
    })
    made.projects = drawn.projects.map((project) => ({ ...project, owner: 'data' }))
    made.resources[0].containers = drawn.containers.map((container) => ({ ...container, type: 'folder' }))
    made.resources[2].containers = [{ id: 'a', type: 'folder' }]
    if (drawn.saysWhere) made.resources[0].tools.query.container_argument = 'y'
    made.users[0].active = drawn.alice
    made.grants = drawn.grants.map((drawnGrant, index) => ({
      ...drawnGrant,
      id: `g${index}`,
    }))
    return made
  })

const TOOLS: Readonly<Record<string, readonly string[]>> = {
  'https://warehouse.example/mcp': ['query', 'insert', 'drop_table', 'unclassified'],
  'https://slack.example/mcp': ['post', 'list'],
  'https://files.example/mcp': ['get', 'put'],
  'https://notes.example/mcp': ['note'],
}

const ALL_TOOLS = Object.entries(TOOLS).flatMap(([url, names]) => names.map((name) => `${url} ${name}`))

/** Each tool present or not, with constraints of its own. */
const wanted: fc.Arbitrary<Wanted> = fc
  .tuple(
    ...Object.entries(TOOLS).flatMap(([url, names]) =>
      names.map((name) => fc.tuple(fc.constant(url), fc.constant(name), fc.option(constraints, { freq: 3 }))),
    ),
  )
  .map((drawn) => {
    const byUrl: Record<string, Record<string, Constraints>> = {}
    for (const [url, name, limits] of drawn) if (limits !== null) byUrl[url] = { ...byUrl[url], [name]: limits }
    return byUrl
  })

/** A question in plain data: authorities as written, the user by name (`undefined`: autonomous). */
export interface Asking {
  readonly user: 'alice' | 'bob' | undefined
  readonly wanted: Wanted
  readonly parent: Wanted | undefined
  readonly ceiling: Wanted | undefined
  readonly notAfter: number
  readonly askedExplicitly: boolean
  readonly target: string | undefined
  readonly environment: string
  /** Whether the planner is in the chain, too. */
  readonly planner: boolean
  readonly container: string | undefined
  readonly risk: RiskLevel | undefined
  /** Of the external PDP: none, no answer, or what it allows, each as `<url> <tool>`. */
  readonly external: 'none' | 'failed' | readonly string[]
}

export const asking: fc.Arbitrary<Asking> = fc.record({
  user: fc.constantFrom('alice' as const, 'alice' as const, 'bob' as const, undefined),
  wanted,
  parent: orNothing(wanted),
  ceiling: orNothing(wanted),
  notAfter: mostly(LATER, NOW, NOW + 50),
  askedExplicitly: fc.boolean(),
  target: orNothing(fc.constantFrom(...Object.keys(TOOLS))),
  environment: mostly('production', 'staging'),
  planner: mostly(false, true),
  container: mostly<string | undefined>(undefined, ...CONTAINERS, 'nowhere'),
  risk: fc.constantFrom<(RiskLevel | undefined)[]>('low', undefined, 'medium', 'high'),
  external: fc.oneof(
    { weight: 9, arbitrary: fc.constant('none' as const) },
    { weight: 1, arbitrary: fc.constant('failed' as const) },
    { weight: 2, arbitrary: fc.subarray(ALL_TOOLS) },
  ),
})
