/** Every endpoint of the admin API against every role: what a role does not give stays shut, and is recorded. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminEndpoints } from '../../src/http/admin-routes.ts'
import type { RouterParts } from '../../src/http/route.ts'
import { operatorPrincipal } from '../../src/kernel/ids.ts'
import { ADMIN_ROLES, type AdminRole, type Permission, permits } from '../../src/model/admin-role.ts'
import { Minter } from '../../src/tokens/minter.ts'
import { expectRefused } from '../support/refusal.ts'
import { startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

async function tokenOf(...roles: readonly AdminRole[]): Promise<string> {
  const now = world.now()
  const minter = new Minter(world.broker.ring, world.config.settings)
  const order = { operator: operatorPrincipal('ops'), roles, now, expiresAt: now + 60 }
  return (await minter.management(order)).token.reveal()
}

const ENDPOINTS = adminEndpoints({} as RouterParts).flatMap(({ path, methods }) =>
  Object.entries(methods).map(([method, { permission, query = [] }]) => ({ method, path, permission, query })),
)

const at = (path: string) => `/admin/v1${path.replaceAll(/:[a-z]+/g, 'nobody')}`
const bodyFor = (method: string) => (method === 'GET' || method === 'DELETE' ? undefined : { nothing: 'of that' })

test('the table is what is served', () => {
  const served = world.broker.app.routes.map(({ path }) => path).filter((path) => path.startsWith('/admin/v1/'))
  const listed = ENDPOINTS.map(({ path }) => `/admin/v1${path}`)
  expect(new Set(served.filter((path) => path !== '/admin/v1/login'))).toEqual(new Set(listed))
})

describe.each(ADMIN_ROLES)('the role %s', (role) => {
  test.each(ENDPOINTS)('$method $path, which needs $permission', async ({ method, path, permission }) => {
    const token = await tokenOf(role)
    const ask = () => world.bearer(at(path), token, method, bodyFor(method))
    if (permits([role], permission)) {
      expect([401, 403, 405]).not.toContain((await ask()).status)
      return
    }
    const forbidden = { status: 403, error: 'insufficient_scope', reason: 'admin_forbidden' } as const
    const { answer, record } = await expectRefused(world, ask, forbidden)
    expect(answer.body.missing).toEqual([`permission ${permission}`])
    expect(record).toMatchObject({ by: 'operator:ops', by_class: 'operator' })
  })
})

describe('a query parameter that an endpoint does not know would hold nothing back, and look as if it had', () => {
  const malformed = { status: 400, error: 'invalid_request', reason: 'parameter_malformed' } as const
  test.each(ENDPOINTS)('$method $path', async ({ method, path, query }) => {
    const token = await tokenOf(...ADMIN_ROLES)
    const [known = 'limit'] = query
    for (const wrong of ['dry_run=true', `${known}=1&${known}=1`]) {
      const ask = () => world.bearer(`${at(path)}?${wrong}`, token, method, bodyFor(method))
      const { record } = await expectRefused(world, ask, malformed)
      expect(record).toMatchObject({ by: 'operator:ops', by_class: 'operator' })
    }
  })

  test('a stranger is told nothing of it', async () => {
    const stranger = { status: 401, error: 'invalid_token', reason: 'bearer_invalid', stranger: true } as const
    await expectRefused(world, () => world.bearer('/admin/v1/sessions?dry_run=true', world.userToken()), stranger)
  })
})

test('each role gives and no more', () => {
  const given = (role: AdminRole) =>
    (['read', 'approve', 'policy', 'security', 'shadow', 'forensics'] as const).filter((permission: Permission) =>
      permits([role], permission),
    )
  expect(Object.fromEntries(ADMIN_ROLES.map((role) => [role, given(role)]))).toEqual({
    viewer: ['read'],
    approver: ['read', 'approve'],
    policy_admin: ['read', 'policy'],
    security: ['read', 'security', 'shadow'],
    forensics: ['read', 'forensics'],
  })
})

test('roles add up; none at all gives nothing', () => {
  expect(permits(['viewer', 'security'], 'security')).toBe(true)
  expect(permits(['approver', 'policy_admin'], 'security')).toBe(false)
  for (const permission of ['read', 'approve', 'policy', 'security', 'shadow', 'forensics'] as const) {
    expect(permits([], permission)).toBe(false)
  }
})

test.each([
  ['no role', []],
  ['an unknown role beside a known one', ['viewer', 'root']],
  ['the name of something every object has', ['constructor']],
])('a management token with %s is refused, though the broker’s own key signed it', async (_what, roles) => {
  const token = await tokenOf(...(roles as AdminRole[]))
  expect((await world.bearer('/admin/v1/sessions', token)).status).toBe(401)
})
