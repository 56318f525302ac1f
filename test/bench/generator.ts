/**
 * The load generator, a process of its own: makes requests, then sends them over keep-alive connections and times each
 * answer. An answer that is not the token asked for fails the bench; a sample of the tokens is verified after the clock stops.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { Connection, type HttpAnswer } from './connection.ts'
import {
  type Ask,
  type Dialect,
  type Draft,
  type Facts,
  RequestMaker,
  RequestWriter,
  type Subject,
  type Workload,
} from './requests.ts'
import { answerCalls } from './rpc.ts'

export interface Target {
  readonly name: string
  readonly dialect: Dialect
  readonly port: number
  readonly connections: number
  /** Whose agents ask it, and for what. */
  readonly scene: string
}

interface FireOrder {
  readonly target: Target
  readonly workload: Workload
  readonly count: number
  readonly perSecond: number | undefined
}

export interface Fired {
  readonly exchanges: number
  readonly elapsedMs: number
  /** Of each exchange, in milliseconds. */
  readonly latencies: Float64Array
}

/** A company, the requests that all systems are sent next, and the tokens that each has given out to be continued. */
interface Scene {
  readonly facts: Facts
  readonly maker: RequestMaker
  shared: readonly Draft[]
  readonly handles: Map<string, readonly Subject[]>
}

const ACCESS_TOKEN = /"access_token":"([\w-]+\.[\w-]+\.[\w-]{86})"/
/** One token of so many is verified. */
const SAMPLED = 100

const scenes = new Map<string, Scene>()

answerCalls({
  meet: ({ scene, facts }: { scene: string; facts: Facts }) => {
    scenes.set(scene, { facts, maker: new RequestMaker(facts), shared: [], handles: new Map() })
  },
  /** Requests that the next `fire` at every system sends: the same ones to each. */
  prepare: ({ scene, workload, count }: { scene: string; workload: 'open' | 'new'; count: number }) => {
    const { maker } = sceneOf(scene)
    sceneOf(scene).shared = maker.make(workload, count)
  },
  prepareFirstSight: ({ scene, count }: { scene: string; count: number }) => {
    sceneOf(scene).shared = sceneOf(scene).maker.firstSight(count)
  },
  /** Opens sessions at a system, which `continue` then uses, at a chain of `depth` agents. Gives one of the tokens. */
  openHandles: async ({ target, count, depth }: { target: Target; count: number; depth: number }): Promise<string> => {
    const { maker, handles } = sceneOf(target.scene)
    const isFloor = target.dialect === 'floor'
    // The floor gives out nothing that could be continued: what it has seen before costs it as much.
    const drafts = isFloor ? maker.firstSight(count).slice(0, count) : maker.make('new', count)
    let subjects = drafts.map(({ subject }) => subject)
    if (!isFloor) subjects = tokensAs(subjects, await fire(target, 'openSession', drafts))
    for (let hop = 1; hop < depth; hop += 1) subjects = await passOn(target, subjects, hop)
    handles.set(target.name, subjects)
    return subjects[0]?.token ?? ''
  },
  fire: async ({ target, workload, count, perSecond }: FireOrder): Promise<Fired> => {
    const { maker, shared, handles } = sceneOf(target.scene)
    const drafts = workload === 'continue' ? maker.makeFor(handles.get(target.name) ?? [], count) : shared
    const { tokens, ...fired } = await fire(target, workload === 'new' ? 'open' : workload, drafts, { perSecond })
    await verifySample(target, drafts, tokens)
    return fired
  },
})

function sceneOf(name: string): Scene {
  const scene = scenes.get(name)
  if (scene === undefined) throw new Error(`the load generator has not met ${name}`)
  return scene
}

/** Each session goes on to the next agent: delegated, and accepted. */
async function passOn(target: Target, from: readonly Subject[], hop: number): Promise<Subject[]> {
  const { maker, facts } = sceneOf(target.scene)
  const delegations = await fire(target, 'delegate', maker.makeFor(from, from.length), { hop })
  const next = (agent: number) => (agent + 1) % facts.agents.length
  const offered = tokensAs(from, delegations).map((subject) => ({ ...subject, agent: next(subject.agent) }))
  return tokensAs(offered, await fire(target, 'accept', maker.makeFor(offered, offered.length)))
}

function tokensAs(subjects: readonly Subject[], { tokens }: { readonly tokens: readonly string[] }): Subject[] {
  return subjects.map((subject, index) => ({ ...subject, token: tokens[index] ?? '' }))
}

async function fire(
  target: Target,
  ask: Ask,
  drafts: readonly Draft[],
  options: { readonly hop?: number; readonly perSecond?: number | undefined } = {},
): Promise<Fired & { readonly tokens: readonly string[] }> {
  const writer = new RequestWriter(sceneOf(target.scene).facts, target.dialect, ask, options.hop)
  const requests = drafts.map((draft) => writer.write(draft))
  const opening = Array.from({ length: target.connections }, () => Connection.open(target))
  const connections = await Promise.all(opening)
  const latencies = new Float64Array(requests.length)
  const tokens = requests.map(() => '')
  let next = 0
  const work = async (connection: Connection): Promise<void> => {
    for (let index = next++; index < requests.length; index = next++) {
      const asked = options.perSecond === undefined ? performance.now() : await turn(begun, index / options.perSecond)
      const answer = await connection.ask(requests[index] ?? '')
      latencies[index] = performance.now() - asked
      tokens[index] = tokenOf(answer)
    }
  }
  const begun = performance.now()
  try {
    await Promise.all(connections.map(work))
  } finally {
    for (const connection of connections) connection.close()
  }
  return { exchanges: requests.length, elapsedMs: performance.now() - begun, latencies, tokens }
}

/**
 * Waits until its moment has come. @returns when the request ought to have been sent: one that had to wait for a connection is
 * counted from its moment, not from when it got one
 */
async function turn(begun: number, afterSeconds: number): Promise<number> {
  const due = begun + afterSeconds * 1000
  const early = due - performance.now()
  if (early <= 0) return due
  await sleep(early)
  return performance.now()
}

/** @throws when it is not 200 with a JWS that ES256 has signed */
function tokenOf({ status, body }: HttpAnswer): string {
  const token = ACCESS_TOKEN.exec(body)?.[1]
  if (status !== 200 || token === undefined) throw new Error(`an exchange failed: ${status} ${body.slice(0, 500)}`)
  return token
}

/** With the key set that the system publishes, by a library that is neither's. @throws when one does not verify */
async function verifySample(target: Target, drafts: readonly Draft[], tokens: readonly string[]): Promise<void> {
  const { facts } = sceneOf(target.scene)
  const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${target.port}/jwks`))
  for (let index = 0; index < tokens.length; index += SAMPLED) {
    const subject = drafts[index]?.subject
    const audience = facts.intents[subject?.intent ?? 0]?.resource ?? ''
    const isFloor = target.dialect === 'floor'
    const expected = isFloor ? {} : { issuer: facts.issuer, audience }
    const { payload } = await jwtVerify(tokens[index] ?? '', keys, {
      ...expected,
      typ: 'at+jwt',
      algorithms: ['ES256'],
    })
    if (isFloor) continue
    const actor = (payload['act'] as { sub?: unknown } | undefined)?.sub
    const client = facts.agents[subject?.agent ?? 0]?.clientId ?? ''
    if (typeof actor !== 'string' || !actor.endsWith(client)) throw new Error(`${target.name}: act is ${String(actor)}`)
  }
}
