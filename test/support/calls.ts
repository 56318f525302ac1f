/** Calls of tools as a server in live mode announces them: before each an attempt, after it the outcome. */
import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import type { Store } from '../../src/store/ports.ts'
import { ask, EVALUATION, evaluateToken, evaluatingServices } from './authzen.ts'
import { type Claims, details, granted, intent, tools } from './hops.ts'
import type { TestIssuer } from './issuer.ts'
import { whenAvailable, whenReady } from './patience.ts'
import { type Answer, patient, registryDocument, WAREHOUSE, type World } from './world.ts'

export const OUTCOME = '/access/v1/outcome'

export const newAttempt = (): string => randomBytes(16).toString('base64url')

/** The world's registry with a warehouse that asks before each call, and services that may. */
export function askingWarehouse(idp: TestIssuer, change: (warehouse: Claims) => void = () => undefined) {
  const { resources } = registryDocument(idp) as { resources: readonly Claims[] }
  const asking = resources.map((resource) => {
    if (resource.id !== 'warehouse') return resource
    const warehouse = { ...structuredClone(resource), enforces: 'calls' }
    change(warehouse)
    return warehouse
  })
  return { ...evaluatingServices(idp), resources: asking }
}

/** A session token of the orchestrator for alice, whose calls of each tool of the warehouse are limited. */
export function openLimited(world: World, maxCalls: number, more: object = {}) {
  const named = { query: {}, list_tables: {} }
  const limited = tools(WAREHOUSE, named, { limits: { maxCalls } })
  return granted(patient(world).open({ authorization_details: details(intent({ max_depth: 2, ...more }), limited) }))
}

export const accessFor = async (world: World, session: string, client = 'orchestrator'): Promise<string> =>
  (await granted(patient(world).continue(session, {}, client))).token

export interface CallOf {
  readonly tool?: string
  readonly args?: object
  readonly attempt?: string | undefined
}

export const callOf = (token: string, { tool = 'query', args = {}, attempt }: CallOf = {}) => ({
  subject: { type: 'access_token', id: token },
  action: { name: 'tools/call' },
  resource: { type: 'tool', id: tool },
  context: { arguments: args, ...(attempt === undefined ? {} : { attempt }) },
})

/** The warehouse at one broker. */
export async function warehouseAt(world: World, service = 'warehouse-server') {
  const asking = await evaluateToken(world, service)
  const decide = async (body: unknown): Promise<Claims> => {
    const answer = await whenReady(() => ask(world, asking, EVALUATION, body))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return answer.body
  }
  return {
    asking,
    decide,
    ask: (body: unknown): Promise<Answer> => ask(world, asking, EVALUATION, body),
    /** A new attempt, unless one is named. */
    attempt: (token: string, call: CallOf = {}): Promise<Claims> =>
      decide(callOf(token, { attempt: newAttempt(), ...call })),
    report: (body: unknown): Promise<Answer> => ask(world, asking, OUTCOME, body),
  }
}

export type Warehouse = Awaited<ReturnType<typeof warehouseAt>>

/** Its records, oldest first. */
export const recordsOf = (world: World, decision: string) => recordsIn(world.broker.store, decision)

export async function recordsIn({ audit }: Pick<Store, 'audit'>, decision: string): Promise<readonly Claims[]> {
  return (await whenAvailable(() => audit.find(decision))).map((text) => JSON.parse(text))
}
