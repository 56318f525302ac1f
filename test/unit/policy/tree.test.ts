/** Policy over the tree (DESIGN §6): what is said of a node holds for what lies below it, never above, never beside. */
import { describe, expect, test } from 'vitest'
import type { Question } from '../../../src/model/decision.ts'
import { policyFindings } from '../../../src/policy/dead-grants.ts'
import { ask, granted, NOTES, NOW, type Raw, reason, SLACK, verdict, WAREHOUSE, world } from './world.ts'

/** data ▸ analytics (the warehouse) and data ▸ lab (the notes); slack and files beside it. Folders q ▸ q3 ▸ q3-emea, q ▸ q4, hr. */
function planted(document: Raw): void {
  document.projects = [
    { id: 'data', owner: 'd' },
    { id: 'analytics', parent: 'data', owner: 'a' },
    { id: 'lab', parent: 'data', owner: 'l' },
  ]
  const [warehouse, , , notes] = document.resources
  notes.project = 'lab'
  warehouse.containers = [
    { id: 'q', type: 'folder' },
    { id: 'q3', type: 'folder', parent: 'q' },
    { id: 'q3-emea', type: 'folder', parent: 'q3' },
    { id: 'q4', type: 'folder', parent: 'q' },
    { id: 'hr', type: 'folder' },
  ]
  warehouse.tools.query.container_argument = 'folder'
}

const grant = (id: string, effect: string, resources: Raw[], more: Raw = {}): Raw => ({
  id,
  effect,
  principals: [{ role: 'analyst' }],
  resources,
  ...more,
})
const policy = (...grants: Raw[]) =>
  world((d) => {
    planted(d)
    d.grants = grants
  })
/** The orchestrator's manifest is this. */
const manifested = (selector: Raw) =>
  world((d) => {
    planted(d)
    d.agents[0].manifest = [selector]
  })

const EVERYWHERE = {
  [WAREHOUSE]: { query: {} },
  [SLACK]: { list: {}, post: {} },
  [NOTES]: { note: {} },
}
const reached = (...grants: Raw[]) => Object.keys(granted(ask(policy(...grants), EVERYWHERE)) ?? {})

describe('projects (R071, R083, R084)', () => {
  test('a role on a project reaches its servers and those of the projects below, no others', () => {
    expect(reached(grant('g', 'allow', [{ project: 'data' }]))).toEqual([WAREHOUSE, NOTES])
    expect(reached(grant('g', 'allow', [{ project: 'analytics' }]))).toEqual([WAREHOUSE])
    expect(reached(grant('g', 'allow', [{ project: 'lab' }]))).toEqual([NOTES])
    expect(reached(grant('g', 'allow', [{ project: '*' }]))).toEqual([WAREHOUSE, SLACK, NOTES])
    expect(reached(grant('g', 'allow', [{ project: 'data', server: 'slack' }]))).toEqual([])
  })

  test('a deny reaches as far as an allow', () => {
    const all = grant('all', 'allow', [{ server: '*' }])
    expect(reached(all, grant('no', 'deny', [{ project: 'data' }]))).toEqual([SLACK])
    expect(reached(all, grant('no', 'deny', [{ project: 'lab' }]))).toEqual([WAREHOUSE, SLACK])
  })

  test('an agent’s manifest reaches down, too', () => {
    const registry = manifested({ project: 'data' })
    expect(Object.keys(granted(ask(registry, EVERYWHERE)) ?? {})).toEqual([WAREHOUSE, NOTES])
  })
})

describe('containers (R085)', () => {
  const QUERY = { [WAREHOUSE]: { query: {} } }
  const allowed = (container: string | undefined, ...grants: Raw[]) =>
    ask(policy(...grants), QUERY, { container }).outcome === 'allow'
  const within = (id: string) => ({ server: 'warehouse', container: id })
  const all = grant('all', 'allow', [{ server: '*' }])

  test('a role on a container holds within it and below it; not beside, above, or where nobody says where', () => {
    const editor = grant('editor', 'allow', [within('q3')])
    const where = ['q3', 'q3-emea', 'q', 'q4', 'hr', undefined]
    expect(where.map((id) => allowed(id, editor))).toEqual([true, true, false, false, false, false])
  })

  test('a deny on a container holds there and below, and where it is not known that the use is elsewhere', () => {
    const no = grant('no', 'deny', [within('q3')])
    const where = ['q3', 'q3-emea', 'q', 'q4', 'hr', undefined]
    expect(where.map((id) => allowed(id, all, no))).toEqual([false, false, true, true, true, false])
    expect(verdict(ask(policy(all, no), QUERY), 'deny_grants')).toBe('explicit_deny')
  })

  test('grants on one tool in different containers do not narrow each other', () => {
    const limit = (maximum: number) => ({ constraints: { limit: { maximum }, '*': {} } })
    const registry = policy(
      grant('three', 'allow', [within('q3')], limit(3)),
      grant('four', 'allow', [within('q4')], limit(4)),
    )
    const limitIn = (container: string) => granted(ask(registry, QUERY, { container }))?.[WAREHOUSE]?.query
    expect([limitIn('q3'), limitIn('q4')]).toEqual([limit(3).constraints, limit(4).constraints])
  })

  test('a container that the server does not have refuses, whatever is allowed', () => {
    const decision = ask(policy(all), QUERY, { container: 'q5' })
    expect([reason(decision), verdict(decision, 'tool')]).toEqual(['nothing_granted', 'implicit_deny'])
    expect(decision.missing).toEqual(['query at warehouse: warehouse has no container q5 that this is about'])
  })

  test('a manifest may be for one container', () => {
    const registry = manifested(within('q3'))
    const answers = ['q3-emea', 'q4', undefined].map((container) => ask(registry, QUERY, { container }).outcome)
    expect(answers).toEqual(['allow', 'deny', 'deny'])
  })

  test('a tool whose asked argument can only be one container is judged there, and its token says so', () => {
    const editor = grant('editor', 'allow', [within('q3')])
    const asked = (folder: Raw, rest: Partial<Question> = {}) =>
      granted(ask(policy(editor), { [WAREHOUSE]: { query: folder } }, rest))
    const pinned = { folder: { const: 'q3-emea' }, '*': {} }
    expect(asked(pinned)).toEqual({ [WAREHOUSE]: { query: pinned } })
    expect(asked({ folder: { enum: ['q3'] }, '*': {} })).toBeDefined()
    expect(asked({ folder: { const: 'hr' }, '*': {} })).toBeUndefined()
    expect(asked({ folder: { const: 'nowhere' }, '*': {} })).toBeUndefined()
    expect(asked({ folder: { const: 3 }, '*': {} })).toBeUndefined()
    // Two of them, or an argument that is not the one that says where: it is not known where the calls will go.
    expect(asked({ folder: { enum: ['q3', 'q3-emea'] }, '*': {} })).toBeUndefined()
    expect(asked({ other: { const: 'q3' }, '*': {} })).toBeUndefined()
    // What the question names and what the argument says must be the same place.
    expect(asked(pinned, { container: 'q3-emea' })).toBeDefined()
    expect(asked(pinned, { container: 'q3' })).toBeUndefined()
  })

  test('an argument says where only for a tool that is registered so', () => {
    const editor = grant('editor', 'allow', [within('q3')])
    const insert = { [WAREHOUSE]: { insert: { folder: { const: 'q3' } } } }
    expect(granted(ask(policy(editor), insert))).toBeUndefined()
  })

  test('grants on other containers are not looked at', () => {
    const others = Array.from({ length: 200 }, (_, n) => grant(`o${n}`, 'deny', [within('hr')]))
    const decision = ask(policy(all, ...others, grant('one', 'deny', [within('q4')])), QUERY, { container: 'q3' })
    expect([decision.outcome, decision.grantsEvaluated]).toEqual(['allow', 1])
  })
})

describe('errand policy check knows the tree', () => {
  const found = (...grants: Raw[]) =>
    policyFindings(policy(...grants), { environment: 'production', now: NOW }).findings.map(
      ({ kind, grant: one, by }) => [kind, one.id, ...by].join(' '),
    )
  const within = (id: string) => ({ server: 'warehouse', container: id })

  test('what a project above denies is a contradiction; what one beside or below denies is not', () => {
    const allow = grant('a', 'allow', [{ project: 'analytics' }])
    expect(found(allow, grant('d', 'deny', [{ project: 'data' }]))).toEqual(['contradiction a d'])
    expect(found(allow, grant('d', 'deny', [{ project: 'lab' }]))).toEqual([])
    expect(found(grant('a', 'allow', [{ project: 'data' }]), grant('d', 'deny', [{ project: 'lab' }]))).toEqual([])
  })

  test('of two that say the same, the one on the lower node is idle, in whatever order they are written', () => {
    const high = grant('high', 'deny', [{ project: 'data' }])
    const low = grant('low', 'deny', [{ project: 'analytics' }])
    expect([found(high, low), found(low, high)]).toEqual([['shadowed low high'], ['shadowed low high']])
    const folder = grant('folder', 'deny', [within('q')])
    const inner = grant('inner', 'deny', [within('q3-emea')])
    expect([found(folder, inner), found(inner, folder)]).toEqual([['shadowed inner folder'], ['shadowed inner folder']])
    expect(found(folder, grant('hr', 'deny', [within('hr')]))).toEqual([])
  })

  test('a server that is denied whole leaves nothing to its containers, and not the other way', () => {
    const server = [{ server: 'warehouse' }]
    expect(found(grant('a', 'allow', [within('q')]), grant('d', 'deny', server))).toEqual(['contradiction a d'])
    expect(found(grant('a', 'allow', server), grant('d', 'deny', [within('q')]))).toEqual([])
    expect(found(grant('a', 'allow', [within('q3')]), grant('d', 'deny', [within('q')]))).toEqual(['contradiction a d'])
    expect(found(grant('a', 'allow', [within('q')]), grant('d', 'deny', [within('q3')]))).toEqual([])
  })

  test('tool by tool, within one container', () => {
    const tools = ['query', 'insert', 'drop_table', 'unclassified'].map((tool) => ({ tool, ...within('q') }))
    expect(found(grant('a', 'allow', [within('q3')]), grant('d', 'deny', tools))).toEqual(['contradiction a d'])
    expect(found(grant('a', 'allow', [within('q3')]), grant('d', 'deny', tools.slice(1)))).toEqual([])
  })
})
