/** Nobody makes an agent stronger than they are (R078); only what is certain is said. */
import { describe, expect, test } from 'vitest'
import { beyondOwners } from '../../../src/policy/beyond-owner.ts'
import { type Raw, world } from './world.ts'

/** The orchestrator, owned by alice of finance, with this manifest; finance may query. */
const beyond = (manifest: Raw[], change: (d: Raw) => void = () => undefined): readonly string[] => {
  const { beyond } = beyondOwners(
    world((d) => {
      d.agents[0].owner = 'user:corp:alice'
      d.agents[0].manifest = manifest
      d.grants = [
        {
          id: 'look',
          effect: 'allow',
          principals: [{ group: 'finance' }],
          resources: [{ server: 'warehouse', tool: 'query' }],
        },
      ]
      change(d)
    }),
  )
  return beyond.flatMap(({ tools }) => tools)
}
const both = [
  { server: 'warehouse', tool: 'query' },
  { server: 'warehouse', tool: 'insert' },
]
const insertAt = ['insert at warehouse']

describe('a manifest', () => {
  test('is within its owner, or names what goes beyond', () => {
    expect(beyond([{ server: 'warehouse', tool: 'query' }])).toEqual([])
    expect(beyond(both)).toEqual(insertAt)
    expect(beyond([...both, { tool: 'insert' }])).toEqual(insertAt)
  })

  test('what may not be delegated is nobody’s to have, and does not count', () => {
    expect(
      beyond(
        [{ server: 'warehouse', category: 'destructive' }],
        (d) => (d.resources[0].tools.drop_table.delegable = false),
      ),
    ).toEqual([])
  })

  test.each<[string, Raw]>([
    ['a user', { user: 'corp:alice' }],
    ['a role', { role: 'analyst' }],
    ['another of their groups', { group: 'finance' }],
  ])('an allow on %s gives it back, whenever and however narrowly it holds', (_what, principal) => {
    const more = {
      id: 'more',
      effect: 'allow',
      principals: [principal],
      resources: [{ server: 'warehouse', tool: 'insert' }],
    }
    expect(beyond(both, (d) => d.grants.push(more))).toEqual([])
    expect(beyond(both, (d) => d.grants.push({ ...more, when: { not_after: '2020-01-01T00:00:00Z' } }))).toEqual([])
    expect(beyond(both, (d) => d.grants.push({ ...more, constraints: { table: { const: 'x' } } }))).toEqual([])
    expect(beyond(both, (d) => d.grants.push({ ...more, principals: [{ group: 'others' }] }))).toEqual(insertAt)
  })

  test('an allow on the agent or on its owner is none for the owner', () => {
    const principals = [{ agent: 'orchestrator' }, { owner: 'user:corp:alice' }]
    const more = { id: 'more', effect: 'allow', principals, resources: [{ server: '*' }] }
    expect(beyond(both, (d) => d.grants.push(more))).toEqual(insertAt)
  })

  test('a deny that always holds takes it, one that may not hold does not', () => {
    const no = { id: 'no', effect: 'deny', principals: [{ user: 'corp:alice' }], resources: [{ tool: 'query' }] }
    expect(beyond(both, (d) => d.grants.push(no))).toEqual(['query at warehouse', 'insert at warehouse'])
    expect(beyond(both, (d) => d.grants.push({ ...no, when: { environment: 'staging' } }))).toEqual(insertAt)
  })

  test('what holds in one container gives a tool, and takes none: it may be used elsewhere', () => {
    const within = (effect: string, tool: string) => (d: Raw) => {
      d.resources[0].containers = [{ id: 'a', type: 'folder' }]
      const resources = [{ server: 'warehouse', container: 'a', tool }]
      d.grants.push({ id: 'within', effect, principals: [{ group: 'finance' }], resources })
    }
    expect(beyond(both, within('allow', 'insert'))).toEqual([])
    expect(beyond(both, within('deny', 'query'))).toEqual(insertAt)
  })
})

describe('an owner', () => {
  const owned = (owner: string, change: (d: Raw) => void = () => undefined) =>
    beyondOwners(
      world((d) => {
        Object.assign(d.agents[0], { owner })
        d.grants = []
        change(d)
      }),
    )

  test('that is a group has what the group has, by its roles too', () => {
    expect(owned('group:finance').beyond).toHaveLength(1)
    const roles = [{ name: 'all', groups: ['finance'] }]
    const grants = [{ id: 'all', effect: 'allow', principals: [{ role: 'all' }], resources: [{ server: '*' }] }]
    expect(owned('group:finance', (d) => Object.assign(d, { roles, grants })).beyond).toEqual([])
    const others = [{ name: 'all', groups: ['others'] }]
    expect(owned('group:finance', (d) => Object.assign(d, { roles: others, grants })).beyond).toHaveLength(1)
    const direct = [{ ...grants[0], principals: [{ group: 'finance' }] }]
    expect(owned('group:finance', (d) => Object.assign(d, { grants: direct })).beyond).toEqual([])
  })

  test('that is a team is unverified, and never compared', () => {
    const { beyond, unverified } = owned('data-team')
    expect(beyond).toEqual([])
    expect(unverified.map(({ clientId }) => clientId)).toEqual(['orchestrator', 'planner'])
    expect(owned('group:finance').unverified.map(({ clientId }) => clientId)).toEqual(['planner'])
  })

  test('who has left, or whose agent is retired, is not compared: to take away must never be refused for it', () => {
    expect(owned('user:corp:alice', (d) => (d.users[0].active = false))).toMatchObject({ beyond: [] })
    expect(owned('user:corp:alice', (d) => (d.agents[0].state = 'retired')).beyond).toEqual([])
  })
})
