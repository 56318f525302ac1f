/** Owners, groups and roles: who has which, and what is left when they leave (R006, R014, R097). */
import { describe, expect, test } from 'vitest'
import { atOnce } from '../../../src/kernel/slices.ts'
import { orphaned, ownerStanding } from '../../../src/model/owner.ts'
import { ask, granted, type Raw, WAREHOUSE, world } from '../policy/world.ts'

describe('roles', () => {
  const wanted = { [WAREHOUSE]: { query: {} } }
  const registry = (roles: Raw[], change: (d: Raw) => void = () => undefined) =>
    world((d) => {
      d.users[0].roles = []
      d.roles = roles
      d.grants[0].principals = [{ role: 'reader' }]
      change(d)
    })
  const isGranted = (from: ReturnType<typeof world>) => granted(ask(from, wanted)) !== undefined

  test('a group brings a role, and takes it along: no grant is edited', () => {
    expect(isGranted(registry([]))).toBe(false)
    expect(isGranted(registry([{ name: 'reader', groups: ['finance'] }]))).toBe(true)
    expect(isGranted(registry([{ name: 'reader', groups: ['finance'] }], (d) => (d.users[0].groups = [])))).toBe(false)
    expect(isGranted(registry([{ name: 'other', groups: ['finance'] }]))).toBe(false)
  })

  test('so does a name, and what is listed for the user stays', () => {
    expect(isGranted(registry([{ name: 'reader', users: ['corp:alice'] }]))).toBe(true)
    expect(isGranted(registry([{ name: 'reader', users: ['corp:bob'] }]))).toBe(false)
    const both = registry([{ name: 'reader', groups: ['finance'] }], (d) => (d.users[0].roles = ['analyst', 'reader']))
    expect(both.users[0]?.roles).toEqual(['analyst', 'reader'])
  })

  test('a user whom only the issuer knows has the roles given by name', () => {
    const from = registry([{ name: 'reader', users: ['corp:zoe'] }], (d) => {
      d.issuers[0].users = 'from_issuer'
    })
    const [issuer] = from.issuers
    expect(issuer && from.user(issuer, 'zoe')?.roles).toEqual(['reader'])
    expect(issuer && from.user(issuer, 'yan')?.roles).toEqual([])
  })
})

describe('owners', () => {
  const owned = (owner: string, change: (d: Raw) => void = () => undefined) =>
    world((d) => {
      d.agents[0].owner = owner
      d.resources[0].owner = owner
      change(d)
    })
  const leave = (d: Raw) => (d.users[0].active = false)

  test.each([
    ['user:corp:alice', undefined, 'active'],
    ['user:corp:alice', leave, 'left'],
    ['user:corp:nobody', undefined, 'left'],
    ['group:nobody-is-in-it', undefined, 'left'],
    ['data-team', leave, 'unverified'],
  ] as const)('%s', (owner, change, standing) => {
    expect(ownerStanding(owned(owner, change), owner)).toBe(standing)
  })

  test('a group stands while one of it is active', () => {
    const inGroup = (active: boolean) =>
      owned('group:owners', (d) => Object.assign(d.users[0], { groups: ['owners'], active }))
    expect(ownerStanding(inGroup(true), 'group:owners')).toBe('active')
    expect(ownerStanding(inGroup(false), 'group:owners')).toBe('left')
  })

  test('what an owner leaves behind is orphaned, agents and servers alike, but for what is retired', () => {
    const registry = owned('user:corp:alice', (d) => {
      leave(d)
      d.agents[1].owner = 'user:corp:alice'
      d.agents[1].state = 'retired'
    })
    expect(atOnce(orphaned(registry))).toEqual([
      { kind: 'agent', id: 'orchestrator', owner: 'user:corp:alice' },
      { kind: 'resource', id: 'warehouse', owner: 'user:corp:alice' },
    ])
    expect(atOnce(orphaned(owned('user:corp:alice')))).toEqual([])
  })
})
