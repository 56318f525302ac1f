/** A warehouse whose calls are captured, and those who read what was. */
import { rmSync } from 'node:fs'
import { expect } from 'vitest'
import { operatorPrincipal } from '../../src/kernel/ids.ts'
import { createKeyEncryptionKey } from '../../src/keys/key-encryption-keys.ts'
import { ADMIN_ROLES, type AdminRole } from '../../src/model/admin-role.ts'
import { Minter } from '../../src/tokens/minter.ts'
import { accessFor, askingWarehouse, callOf, newAttempt, openLimited, type Warehouse, warehouseAt } from './calls.ts'
import type { Claims } from './hops.ts'
import type { TestIssuer } from './issuer.ts'
import { scratchDirectory } from './scratch.ts'
import { type Answer, startWorld, type World, type WorldOptions } from './world.ts'

const SEALED = { prompt: 'sealed', arguments: 'sealed', response: 'sealed', trace: 'sealed' } as const
export const SECRET = 'Zebra crossing 4711'
const REASON = 'INC-212: what was sent'

export interface Place {
  readonly world: World
  readonly warehouse: Warehouse
  readonly keys: string
  readonly session: Claims
  readonly token: string
  close(): Promise<void>
}

export async function placeWith(
  idp: TestIssuer,
  options: WorldOptions = {},
  change?: (warehouse: Claims) => void,
): Promise<Place> {
  const keys = scratchDirectory('errand-captured-')
  await createKeyEncryptionKey(keys, Date.now())
  const settings = { capture: SEALED, ...options.settings }
  const world = await startWorld({
    issuer: idp,
    keysDirectory: keys,
    registry: askingWarehouse(idp, change),
    ...options,
    settings,
  })
  const session = await openLimited(world, 50)
  const token = await accessFor(world, session.token)
  const close = async () => {
    await world.close()
    rmSync(keys, { recursive: true, force: true })
  }
  return { world, keys, warehouse: await warehouseAt(world), session, token, close }
}

export async function tokenOf(world: World, ...roles: readonly AdminRole[]): Promise<string> {
  const now = world.now()
  const minter = new Minter(world.broker.ring, world.config.settings)
  return (
    await minter.management({ operator: operatorPrincipal('ops'), roles, now, expiresAt: now + 60 })
  ).token.reveal()
}

export async function admin(world: World, path: string, method = 'GET', body?: unknown): Promise<Answer> {
  return world.bearer(`/admin/v1/audit${path}`, await tokenOf(world, ...ADMIN_ROLES), method, body)
}

export const read = (world: World, id: string, kind: string, reason = REASON) =>
  admin(world, `/${id}/captured/${kind}?reason=${encodeURIComponent(reason)}`)

/** One call with everything there is to capture. */
export async function wholeCall({ world, warehouse, token, session }: Place) {
  const attempt = newAttempt()
  const asked = callOf(token, { attempt, args: { table: 'revenue', note: SECRET } })
  const answer = await warehouse.decide({ ...asked, context: { ...asked.context, prompt: `${SECRET} said Alice` } })
  const decision: string = answer.context.decision_id
  const told = { attempt, decision_id: decision, outcome: 'success', response: { rows: [SECRET] } }
  expect((await warehouse.report(told)).status).toBe(200)
  const api = await world.apiToken()
  const traced = await world.bearer(`/sessions/${session.claims.sid}/traces`, api, 'POST', {
    text: `${SECRET}, I think`,
  })
  expect(traced.body).toEqual({ decision_id: expect.stringMatching(/^dec_/), captured: 'sealed' })
  return { decision, trace: traced.body.decision_id as string }
}

/** Waits until all there is was sequenced, and forgets it in the outboxes. */
export async function inLogAlone({ world }: Place): Promise<void> {
  const { audit, log } = world.broker.store
  await expect
    .poll(async () => {
      const cursors = cursorsIn(await log.head())
      return (await audit.pending(cursors, 10)).size
    })
    .toBe(0)
  for (const [outbox, position] of cursorsIn(await log.head())) await audit.trim(outbox, position)
}

function cursorsIn(head: string | undefined): ReadonlyMap<string, string> {
  return new Map(Object.entries((JSON.parse(head ?? '{}').cursors ?? {}) as Record<string, string>))
}
