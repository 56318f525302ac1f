/**
 * A broker is killed between any two steps of an exchange and of a revoke (H72), a new one is started on the same store, and
 * the laws are checked:
 *
 * - what was answered is so: a token has its session and its record, a revocation is not lost;
 * - no token is alive without its record, whatever the process had signed when it died. One exception is by design (§1: leaves
 *   are counted, not stored): an access token of a session that lives on. Its text has reached nobody, and no disk;
 * - what is single-use is used once at most, a delegation is accepted once at most, and neither is burnt by a crash before its
 *   commit;
 * - a revoke that has reached the control slot is in force, answered or not, and repeating one completes it;
 * - nothing is left by halves: as many leaves are counted as tokens are recorded.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { p1363FromDer } from '../../src/jose/ecdsa-form.ts'
import type { SessionId } from '../../src/kernel/ids.ts'
import { FIELD } from '../../src/sessions/session-record.ts'
import type { ChildOrder } from '../support/broker-child.ts'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { expectInLog } from '../support/in-log.ts'
import { PATIENCE_MS, whenAvailable, whenReady } from '../support/patience.ts'
import { storeConfig } from '../support/store-order.ts'
import {
  type Answer,
  claimsOf,
  headerOf,
  type Params,
  patient,
  registryDocument,
  startWorld,
  type World,
} from '../support/world.ts'

/** One request, such that it can be sent again letter by letter. */
type Asked =
  | { readonly path: string; readonly params: Params }
  | { readonly path: string; readonly bearer: string; readonly method: string; readonly json?: unknown }

const send = (to: World, asked: Asked): Promise<Answer> =>
  'params' in asked ? to.post(asked.path, asked.params) : to.bearer(asked.path, asked.bearer, asked.method, asked.json)

/** To a broker that nobody kills: what a busy machine keeps its store waiting for is asked again, letter by letter. */
const sendAgain = (to: World, asked: Asked): Promise<Answer> => whenReady(() => send(to, asked))

interface Held {
  readonly user: string
  readonly session: string
  readonly sid: SessionId
  readonly delegation: string
  readonly access: string
}

interface Flow {
  readonly name: string
  ask(world: World, held: Held): Promise<Asked>
  /** Given for a revoke: what dies of it. */
  readonly kills?: 'session' | 'token'
}

const body = async (answer: Promise<Answer>): Promise<string> => {
  const { status, body } = await answer
  expect(status, JSON.stringify(body)).toBe(200)
  return body.access_token
}

/** Intercepts the request instead of sending it: what the vocabulary of `World` would have sent. */
async function captured(world: World, ask: () => Promise<unknown>): Promise<Asked> {
  const { post } = world
  let asked: Asked | undefined
  world.post = async (path, params) => {
    asked = { path, params }
    return { status: 0, headers: new Headers(), body: {} }
  }
  await ask()
  world.post = post
  if (asked === undefined) throw new Error('nothing was asked')
  return asked
}

let managementToken = async (): Promise<string> => ''

const FLOWS: readonly Flow[] = [
  {
    name: 'open',
    ask: (world, { user }) => captured(world, () => world.open({ subject_token: world.idToken({ sub: user }) })),
  },
  { name: 'continue', ask: (world, { session }) => captured(world, () => world.continue(session)) },
  { name: 'delegate', ask: (world, { session }) => captured(world, () => world.delegate(session)) },
  { name: 'accept', ask: (world, { delegation }) => captured(world, () => world.accept(delegation)) },
  {
    name: 'revoke a session',
    kills: 'session',
    ask: (world, { session }) => captured(world, () => world.revoke(session)),
  },
  { name: 'revoke a token', kills: 'token', ask: (world, { access }) => captured(world, () => world.revoke(access)) },
  {
    name: 'end a session as its user',
    kills: 'session',
    ask: async (world, { sid, user }) => ({
      path: `/sessions/${sid}`,
      bearer: world.userToken(user),
      method: 'DELETE',
    }),
  },
  {
    name: 'kill a session as an operator',
    kills: 'session',
    ask: async (_world, { sid }) => ({
      path: '/admin/v1/revocations',
      bearer: await managementToken(),
      method: 'POST',
      json: { dimension: 'session', session: sid },
    }),
  },
]

const USERS_MAX = 600

export interface Prepared {
  /** Where the store is, told a directory of the fleet's own. */
  readonly storeIn: (directory: string) => ChildOrder['store']
  /** Where it keeps its files; the embedded store's own where there is none. */
  readonly data?: string
}

export function killStepSuite(prepare: () => Promise<Prepared>): void {
  let fleet: Fleet
  let checker: World | undefined
  let directory = ''
  let store: ChildOrder['store']
  let users = 0
  let dataDirectory = ''
  const registry = (document: Readonly<Record<string, unknown>>) => ({ ...document, users: everybody })
  const everybody = Array.from({ length: USERS_MAX }, (_, n) => ({ issuer: 'corp', sub: `u${n}`, groups: ['finance'] }))

  const disk = () => {
    const dir = store.kind === 'embedded' ? store.directory : dataDirectory
    return readdirSync(dir).flatMap((name) =>
      name.endsWith('.mdb') || name.endsWith('.aof') ? [readFileSync(join(dir, name))] : [],
    )
  }

  /** A broker started on what is there: in this process, which nobody kills. */
  const startChecker = async (): Promise<World> => {
    const world = await startWorld({
      store: storeConfig(store),
      issuer: fleet.idp,
      keysDirectory: fleet.keysDirectory,
      settings: { issuer: fleet.issuer },
      registry: { users: registry(registryDocument(fleet.idp)).users },
      realClock: true,
    })
    checker = patient(world)
    return checker
  }

  beforeAll(async () => {
    const { storeIn, data } = await prepare()
    dataDirectory = data ?? ''
    fleet = await startFleet((own) => {
      directory = own
      store = storeIn(own)
      return { store, registry }
    })
    managementToken = () => fleet.managementToken()
    await (await startChecker()).close()
  })
  afterAll(() => fleet?.close())
  // One that a failed test has left open would be in the way of all after it.
  afterEach(() => checker?.close().catch(() => undefined))

  async function hold(world: World): Promise<Held> {
    const user = `u${users++}`
    const session = await body(world.open({ subject_token: world.idToken({ sub: user }) }))
    const [delegation, access] = [await body(world.delegate(session)), await body(world.continue(session))]
    return { user, session, sid: claimsOf(session)['sid'] as SessionId, delegation, access }
  }

  describe.each(FLOWS)('$name', (flow) => {
    test('killed before each of its steps', async () => {
      const steps: string[] = []
      const written = new Set<string>()
      let world = await startChecker()
      for (let n = 1; ; n += 1) {
        const held = await hold(world)
        const asked = await flow.ask(world, held)
        if (store.kind === 'embedded') await world.close()
        const file = join(directory, `${flow.name}-${n}.json`.replaceAll(' ', '-'))
        const victim = await fleet.start({ kill: { at: n, file } })
        fleet.warm()
        const answer = await send(victim, asked).catch(() => undefined)
        const killed = await isDead(victim, answer !== undefined)
        if (!killed) await victim.kill()
        if (store.kind === 'embedded') world = await startChecker()
        const { signed, last } = told(file)
        const context = `${flow.name}, killed ${last ?? 'after everything'}`
        const found = { world, flow, held, asked, answer, context, disk }
        if (flow.kills === undefined) await checkGrant({ ...found, signed })
        else await checkRevoke(found)
        const latest = await whenAvailable(() => world.broker.store.audit.latest(60))
        for (const { record } of latest) written.add(record)
        if (!killed) break
        steps.push(last ?? '?')
      }
      // Whatever was written on either side of a death, the sequencer of whoever is left brings into the log.
      await world.broker.flushAudit()
      await expectInLog(world.broker.store, written)
      console.log(`${flow.name}: ${steps.length} steps: ${steps.join(', ')}`)
      expect(steps.some((step) => step.startsWith('after'))).toBe(true)
      expect(steps.length).toBeGreaterThan(6)
    })
  })
}

async function isDead(victim: BrokerProcess, hasAnswered: boolean): Promise<boolean> {
  // What follows behind an answer, lists, may still be what kills it.
  const dead = await Promise.race([
    victim.exited.then(() => true),
    sleep(hasAnswered ? 150 : PATIENCE_MS).then(() => false),
  ])
  if (!dead && !hasAnswered) throw new Error('neither answered nor killed')
  return dead
}

function told(file: string): { readonly signed: readonly string[]; readonly last: string | undefined } {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  const values = lines.filter((line) => line !== '').map((line) => JSON.parse(line))
  const signed = values.filter((value) => value.signed !== undefined)
  return {
    signed: signed.map(({ signed: input, der }) => {
      const signature = p1363FromDer(Buffer.from(der, 'base64'), 'P-256')
      return `${input}.${Buffer.from(signature).toString('base64url')}`
    }),
    last: values.find((value) => value.killed !== undefined)?.killed,
  }
}

interface Case {
  readonly world: World
  readonly flow: Flow
  readonly held: Held
  readonly asked: Asked
  readonly answer: Answer | undefined
  readonly context: string
  /** The files of the store. */
  disk(): readonly Buffer[]
}

async function checkGrant(given: Case & { readonly signed: readonly string[] }): Promise<void> {
  const { world, flow, held, asked, answer, signed, context } = given
  if (answer !== undefined) expect([context, answer.status], JSON.stringify(answer.body)).toEqual([context, 200])
  const granted = async () =>
    new Set((await world.audit(60)).filter(({ outcome }) => outcome === 'granted').map(({ jti }) => jti))
  const recorded = await granted()
  let grants = 0
  for (const token of signed) {
    const isRecorded = recorded.has(claimsOf(token)['jti'])
    if (answer?.body.access_token === token) expect([context, isRecorded]).toEqual([context, true])
    if (isRecorded) grants += 1
    if (flow.name === 'continue' && !isRecorded) expectUntold(given, token)
    // A delegation that nobody recorded must not be acceptable; one that is recorded is, once.
    else expect([context, await isAlive(world, token)]).toEqual([context, isRecorded])
  }
  // The same request again: a stranger's, if it had got so far as to use its assertion up.
  const replayed = await sendAgain(world, asked)
  if (grants > 0) expect([context, replayed.status]).toEqual([context, 401])
  else expect([context, [200, 401].includes(replayed.status)], JSON.stringify(replayed.body)).toEqual([context, true])
  expect([context, (await sendAgain(world, asked)).status]).toEqual([context, 401])
  if (replayed.status === 200) grants += 1
  const fresh = await whenReady(async () => send(world, await flow.ask(world, held)))
  if (flow.name !== 'accept') expect([context, fresh.status], JSON.stringify(fresh.body)).toEqual([context, 200])
  else {
    expect([context, fresh.status]).toEqual([context, grants === 0 ? 200 : 400])
    const again = await whenReady(async () => send(world, await flow.ask(world, held)))
    expect([context, again.status, again.body.error_reason]).toEqual([context, 400, 'delegation_consumed'])
  }
  await expectCounted(given)
}

function expectUntold({ answer, context, disk }: Case, token: string): void {
  expect([context, answer]).toEqual([context, undefined])
  const signature = token.slice(token.lastIndexOf('.') + 1)
  for (const file of disk()) expect([context, file.includes(signature)]).toEqual([context, false])
}

/** One commit, one leaf, one record. */
async function expectCounted({ world, held, context }: Case): Promise<void> {
  const fields = await whenAvailable(() => world.broker.store.sessions.readAll(held.sid))
  const root = String((claimsOf(held.session)['anc'] as string[])[0])
  const records = (await world.audit(60)).filter(
    (record) => record.session === held.sid && record.event === 'token.continue' && record.node === root,
  )
  const leaves = Number(fields?.get(FIELD.leaves(root)) ?? 0)
  expect([context, records.filter(({ outcome }) => outcome === 'granted').length]).toEqual([context, leaves])
}

async function isAlive(world: World, token: string): Promise<boolean> {
  const typ = headerOf(token)['typ']
  if (typ === 'at+jwt') return (await world.introspect(token)).body.active
  if (typ === 'errand-session+jwt') {
    const client = String(claimsOf(token)['client_id'])
    return (await world.continue(token, {}, client)).status === 200
  }
  return (await world.accept(token)).status === 200
}

async function checkRevoke({ world, flow, held, asked, answer, context }: Case): Promise<void> {
  const isDead = async () => {
    const { active } = (await world.introspect(held.access)).body
    const { status } = await world.continue(held.session)
    expect([context, status === 200]).toEqual([context, flow.kills === 'token' || active])
    return !active
  }
  const recorded = async () =>
    (await world.audit(60)).some(
      ({ event, outcome, session, detail }) =>
        ['token.revoke', 'session.revoke', 'session.close', 'control.write'].includes(event) &&
        outcome === 'granted' &&
        (session === held.sid || String(detail).includes(held.sid)),
    )
  const { entries } = await whenAvailable(() => world.broker.store.control.snapshot())
  const names = [held.sid as string, String(claimsOf(held.access)['jti'])]
  const isWritten = entries.some(({ entry, id }) => entry === 'cutoff' && names.includes(id))
  if (answer !== undefined) {
    expect([context, answer.status, answer.body.audit]).toEqual([context, 200, 'recorded'])
    expect([context, isWritten, await recorded()]).toEqual([context, true, true])
  }
  expect([context, await isDead()]).toEqual([context, isWritten])
  if ('params' in asked) {
    // Used up, or not: a revoke may be repeated, but not by replaying its assertion.
    await sendAgain(world, asked)
    expect([context, (await sendAgain(world, asked)).status]).toEqual([context, 401])
  }
  const repeated = await whenReady(async () => send(world, await flow.ask(world, held)))
  expect([context, repeated.status], JSON.stringify(repeated.body)).toEqual([context, 200])
  expect([context, repeated.body.revoked.unreached]).toEqual([context, []])
  expect([context, await isDead(), await recorded()]).toEqual([context, true, true])
  const fields = await whenAvailable(() => world.broker.store.sessions.readAll(held.sid))
  if (flow.kills === 'session') expect(['closed', 'revoked']).toContain(fields?.get('state'))
  else expect(fields?.has(FIELD.revoked(String(claimsOf(held.access)['jti'])))).toBe(true)
}
