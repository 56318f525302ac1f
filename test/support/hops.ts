/**
 * Real hops through a real broker: what an intent looks like, a grant with its claims beside it, the walk orchestrator →
 * researcher → scribe, and the operator who ends it. What is checked here is recomputed from bytes, never through `src/`.
 */
import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import { operatorPrincipal } from '../../src/kernel/ids.ts'
import { ADMIN_ROLES } from '../../src/model/admin-role.ts'
import { Minter } from '../../src/tokens/minter.ts'
import { type Answer, claimsOf, INTENT, type Params, TYPE, WAREHOUSE, type World } from './world.ts'

// biome-ignore lint/suspicious/noExplicitAny: claims of many shapes
export type Claims = any

export interface Grant {
  readonly token: string
  readonly claims: Claims
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
  readonly body: any
}

/** The answer's token and its claims; fails with the broker's own words where there is none. */
export async function granted(answer: Promise<Answer>): Promise<Grant> {
  const { status, body } = await answer
  expect(status, JSON.stringify(body)).toBe(200)
  return { token: body.access_token, claims: claimsOf(body.access_token), body }
}

export { expectRefused as refused } from './refusal.ts'

export const details = (...objects: readonly object[]): string => JSON.stringify(objects)

export const intent = (more: object = {}): object => ({
  type: 'agent_intent',
  purpose: 'Find the Q3 revenue figures',
  ...more,
})

export const tools = (location: string, named: object, more: object = {}): object => ({
  type: 'mcp_tools',
  locations: [location],
  tools: named,
  ...more,
})

/** The usual session of the orchestrator, its authority deep enough for three agents. */
export function openDeep(world: World, depth = 2, params: Params = {}): Promise<Grant> {
  const [first, ...rest] = INTENT
  return granted(world.open({ authorization_details: details({ ...first, max_depth: depth }, ...rest), ...params }))
}

export interface Walk {
  readonly root: Grant
  readonly toResearcher: Grant
  readonly researcher: Grant
  readonly toScribe: Grant
  readonly scribe: Grant
  readonly access: Grant
}

/** Each hop a little less: 500 rows, 100 rows, 10 rows. */
export async function walk(world: World): Promise<Walk> {
  const root = await openDeep(world)
  const toResearcher = await granted(
    world.delegate(root.token, {
      authorization_details: details(
        intent({ max_depth: 1 }),
        tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 100 } } }),
      ),
    }),
  )
  const researcher = await granted(world.accept(toResearcher.token))
  const toScribe = await granted(
    world.delegate(
      researcher.token,
      {
        audience: 'scribe',
        authorization_details: details(
          intent({ purpose: 'Write them down' }),
          tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 10 } } }),
        ),
      },
      'researcher',
    ),
  )
  const scribe = await granted(world.accept(toScribe.token, {}, 'scribe'))
  const access = await granted(world.continue(scribe.token, {}, 'scribe'))
  return { root, toResearcher, researcher, toScribe, scribe, access }
}

/** SHA-256 of the JWS signing input (RFC 7515 §5.1), as `par_hash` names a parent. */
export function signingInputHash(token: string): string {
  return createHash('sha256')
    .update(token.slice(0, token.lastIndexOf('.')))
    .digest('base64url')
}

/**
 * Names the first link that does not hold to the token before it; `undefined`: the chain is one chain. Checks the hash of
 * the parent, the path of nodes, the subject and the session.
 */
export function brokenLink(chain: readonly string[]): string | undefined {
  for (const [index, token] of chain.entries()) {
    const claims: Claims = claimsOf(token)
    const before = chain[index - 1]
    if (before === undefined) {
      if (claims.par_hash !== undefined) return 'the first token has a parent'
      continue
    }
    const parent: Claims = claimsOf(before)
    if (claims.par_hash !== signingInputHash(before)) return `par_hash of link ${index}`
    if (claims.sid !== parent.sid || claims.sub !== parent.sub) return `session or subject of link ${index}`
    const path = JSON.stringify(claims.anc.slice(0, parent.anc.length))
    if (path !== JSON.stringify(parent.anc)) return `anc of link ${index}`
  }
  return undefined
}

/** The `query` constraints a token carries for the warehouse. */
export function queryOf(claims: Claims): Claims {
  return claims.authorization_details.find((object: Claims) => object.locations[0] === WAREHOUSE)?.tools.query
}

export function openAccess(world: World, params: Params = {}): Promise<Answer> {
  return world.open({ requested_token_type: TYPE.access, resource: WAREHOUSE, ...params })
}

/** As `errand admin token` makes it, on the broker's own machine. */
export async function managementToken(world: World): Promise<string> {
  const now = world.now()
  const minter = new Minter(world.broker.ring, world.config.settings)
  return (
    await minter.management({ operator: operatorPrincipal('ops'), roles: ADMIN_ROLES, now, expiresAt: now + 600 })
  ).token.reveal()
}

export async function order(world: World, path: '/revocations' | '/lifts', body: unknown): Promise<Answer> {
  return world.bearer(`/admin/v1${path}`, await managementToken(world), 'POST', body)
}

/** The kill switch; gives the report of what died. */
export async function kill(world: World, body: unknown): Promise<Claims> {
  const answer = await order(world, '/revocations', body)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.revoked
}

export async function lift(world: World, body: unknown): Promise<void> {
  const answer = await order(world, '/lifts', body)
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
}
