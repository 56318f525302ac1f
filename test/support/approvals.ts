/**
 * A company in which one tool's calls need a person's yes: `drop_table` of the warehouse, which asks before each call. Alice works
 * there by an agent that Bob answers for; Carol and Dave may approve, and so may Alice, Bob and Frank, who is in the agent's team.
 */
import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { operatorPrincipal, userPrincipal } from '../../src/kernel/ids.ts'
import type { AdminEntry, AdminRole } from '../../src/model/admin-role.ts'
import { Minter } from '../../src/tokens/minter.ts'
import { ask, EVALUATION, evaluateToken, evaluatingServices } from './authzen.ts'
import { type Claims, details, granted, tools } from './hops.ts'
import type { TestIssuer } from './issuer.ts'
import { whenReady } from './patience.ts'
import {
  type Answer,
  patient,
  registryDocument,
  startWorld,
  WAREHOUSE,
  type World,
  type WorldOptions,
} from './world.ts'

export const DROP = 'drop_table'
export const TABLE = { table: 'costs_2019' }
export const PURPOSE = 'Clear away the tables of 2019'

const approver = (sub: string, role: AdminRole = 'approver'): AdminEntry => ({ user: `corp:${sub}`, roles: [role] })
export const APPROVERS: readonly AdminEntry[] = [
  ...['alice', 'bob', 'carol', 'dave', 'frank'].map((sub) => approver(sub)),
  ...(['viewer', 'policy_admin', 'security'] as const).map((role) => approver(`erin-${role}`, role)),
]

/** @param owner of the orchestrator */
export function approvalRegistry(idp: TestIssuer, owner = 'user:corp:bob', change: (made: Claims) => void = () => {}) {
  const made = structuredClone({ ...registryDocument(idp), ...evaluatingServices(idp) }) as Claims
  const [warehouse] = made.resources
  warehouse.enforces = 'calls'
  warehouse.tools.drop_table.delegable = true
  for (const agent of made.agents) agent.owner = agent.client_id === 'orchestrator' ? owner : 'user:corp:dave'
  made.agents.find((agent: Claims) => agent.client_id === 'researcher').manifest = [{ server: 'warehouse' }]
  const [, , mallory] = made.users
  made.users = [
    { issuer: 'corp', sub: 'alice', groups: ['finance'] },
    ...['bob', 'dave', 'erin-viewer', 'erin-policy_admin', 'erin-security'].map((sub) => ({
      issuer: 'corp',
      sub,
    })),
    { issuer: 'corp', sub: 'frank', groups: ['agents-team'] },
    ...['gina', 'carol'].map((sub) => ({ issuer: 'corp', sub, groups: ['finance'] })),
    mallory,
  ]
  change(made)
  return made
}

export async function startApprovals(idp: TestIssuer, options: WorldOptions & { owner?: string } = {}): Promise<World> {
  const { owner, registry, config, ...rest } = options
  return patient(
    await startWorld({
      ...rest,
      issuer: idp,
      registry: { ...approvalRegistry(idp, owner), ...registry },
      config: { admins: APPROVERS, ...config },
    }),
  )
}

/** A management token of somebody who has signed in, or, without a `corp:`, made on the broker's own machine. */
export async function adminToken(world: World, name: string, roles: readonly AdminRole[] = ['approver']) {
  const now = world.now()
  const who = name.startsWith('corp:')
    ? { operator: userPrincipal('corp', name.slice(5)), signIn: { at: now, digest: name } }
    : { operator: operatorPrincipal(name) }
  const minter = new Minter(world.broker.ring, world.config.settings)
  return (await minter.management({ ...who, roles, now, expiresAt: now + 600 })).token.reveal()
}

export async function decide(
  world: World,
  id: string,
  name: string,
  order: object = { decision: 'approve', reason: 'as agreed' },
  roles?: readonly AdminRole[],
): Promise<Answer> {
  return world.bearer(`/admin/v1/approvals/${id}`, await adminToken(world, name, roles), 'POST', order)
}

export const newAttempt = (): string => randomBytes(16).toString('base64url')

const workOf = (limits: object) =>
  details(
    {
      type: 'agent_intent',
      purpose: PURPOSE,
      origin: { type: 'user_request', ref: 'msg-1' },
      max_depth: 2,
      expires_in: 3600,
    },
    tools(WAREHOUSE, { drop_table: {}, list_tables: {} }, limits),
  )

/** Alice's session, or another's, by the orchestrator, its access token, and the warehouse that asks about it. */
export async function atWork(world: World, sub = 'alice', maxCalls?: number) {
  const authorization_details = workOf(maxCalls === undefined ? {} : { limits: { maxCalls } })
  const subject_token = world.idToken({ sub, jti: newAttempt() })
  const { token: session, claims } = await granted(world.open({ subject_token, authorization_details }))
  const fresh = async () => (await granted(world.continue(session))).token
  return { session, sid: String(claims.sid), fresh, access: await fresh(), ...(await warehouse(world)) }
}

export async function warehouse(world: World) {
  const asking = await evaluateToken(world, 'warehouse-server')
  const put = async (body: unknown): Promise<Claims> => {
    // The same attempt asked about again is the same call.
    const answer = await whenReady(() => ask(world, asking, EVALUATION, body))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return answer.body
  }
  const attempts = (token: string, args: unknown = TABLE, attempt: string | undefined = newAttempt()) =>
    put(callOf(token, args, attempt))
  return { asking, put, attempts, questions: (token: string, args: unknown = TABLE) => put(callOf(token, args)) }
}

export const callOf = (token: string, args: unknown = TABLE, attempt?: string) => ({
  subject: { type: 'access_token', id: token },
  action: { name: 'tools/call' },
  resource: { type: 'tool', id: DROP },
  context: { arguments: args, ...(attempt === undefined ? {} : { attempt }) },
})

/** The request that an attempt has made. */
export async function requested(attempt: Promise<Claims>): Promise<string> {
  const { decision, context } = await attempt
  expect([decision, context.reason, context.access_request?.status]).toEqual([false, 'approval_required', 'pending'])
  return context.access_request.id
}
