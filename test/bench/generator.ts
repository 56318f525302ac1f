/**
 * The load generator, a process of its own: makes requests, then sends them over keep-alive connections and times each
 * answer. An answer that is not the token asked for fails the bench; a sample of the tokens is verified after the clock stops.
 */
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { Connection, type HttpAnswer } from './connection.ts'
import {
  type Dialect,
  type Draft,
  type Facts,
  RequestMaker,
  RequestWriter,
  type Subject,
  type Wanted,
  type Workload,
} from './requests.ts'
import { answerCalls } from './rpc.ts'

export interface Target {
  /** Whose tokens are kept for *continue*. */
  readonly name: string
  readonly dialect: Dialect
  readonly port: number
  readonly connections: number
}

export interface Fired {
  readonly exchanges: number
  readonly elapsedMs: number
  /** Of each exchange, in milliseconds. */
  readonly latencies: Float64Array
}

const ACCESS_TOKEN = /"access_token":"([\w-]+\.[\w-]+\.[\w-]{86})"/
/** One token of so many is verified. */
const SAMPLED = 100

let facts: Facts
let maker: RequestMaker
let shared: readonly Draft[] = []
const handles = new Map<string, readonly Subject[]>()

answerCalls({
  meet: (company: Facts) => {
    facts = company
    maker = new RequestMaker(company)
  },
  /** Requests that the next `fire` at every system sends: the same ones to each. */
  prepare: ({ workload, count }: { workload: 'open' | 'new'; count: number }) => {
    shared = maker.make(workload, count)
  },
  prepareFirstSight: ({ count }: { count: number }) => {
    shared = maker.firstSight(count)
  },
  /** Opens `count` sessions at a system, which `continue` then uses. */
  openHandles: async ({ target, count }: { target: Target; count: number }) => {
    // The floor gives out nothing that could be continued: what it has seen before costs it as much.
    const drafts = target.dialect === 'floor' ? maker.firstSight(count).slice(0, count) : maker.make('new', count)
    const wanted = target.dialect === 'peer' ? 'access' : 'session'
    const given = target.dialect === 'floor' ? undefined : (await fire(target, 'open', drafts, wanted)).tokens
    const subjects = drafts.map(({ subject }, index) => ({
      agent: subject.agent,
      token: given?.[index] ?? subject.token,
    }))
    handles.set(target.name, subjects)
  },
  fire: async ({ target, workload, count }: { target: Target; workload: Workload; count: number }): Promise<Fired> => {
    const drafts = workload === 'continue' ? maker.makeFor(handles.get(target.name) ?? [], count) : shared
    const { tokens, ...fired } = await fire(target, workload, drafts, 'access')
    await verifySample(target, drafts, tokens)
    return fired
  },
})

async function fire(
  target: Target,
  workload: Workload,
  drafts: readonly Draft[],
  wanted: Wanted,
): Promise<Fired & { tokens: readonly string[] }> {
  const writer = new RequestWriter(facts, target.dialect, workload, wanted)
  const requests = drafts.map((draft) => writer.write(draft))
  const opening = Array.from({ length: target.connections }, () => Connection.open(target))
  const connections = await Promise.all(opening)
  const latencies = new Float64Array(requests.length)
  const tokens = requests.map(() => '')
  let next = 0
  const work = async (connection: Connection): Promise<void> => {
    for (let index = next++; index < requests.length; index = next++) {
      const asked = performance.now()
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

/** @throws when it is not 200 with a JWS that ES256 has signed */
function tokenOf({ status, body }: HttpAnswer): string {
  const token = ACCESS_TOKEN.exec(body)?.[1]
  if (status !== 200 || token === undefined) throw new Error(`an exchange failed: ${status} ${body.slice(0, 500)}`)
  return token
}

/** With the key set that the system publishes, by a library that is neither's. @throws when one does not verify */
async function verifySample(target: Target, drafts: readonly Draft[], tokens: readonly string[]): Promise<void> {
  const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${target.port}/jwks`))
  for (let index = 0; index < tokens.length; index += SAMPLED) {
    const draft = drafts[index]
    const audience = facts.intents[draft?.intent ?? 0]?.resource ?? ''
    const isFloor = target.dialect === 'floor'
    const expected = isFloor ? {} : { issuer: facts.issuer, audience }
    const { payload } = await jwtVerify(tokens[index] ?? '', keys, {
      ...expected,
      typ: 'at+jwt',
      algorithms: ['ES256'],
    })
    if (isFloor) continue
    const actor = (payload['act'] as { sub?: unknown } | undefined)?.sub
    const client = facts.agents[draft?.subject.agent ?? 0]?.clientId ?? ''
    if (typeof actor !== 'string' || !actor.endsWith(client)) throw new Error(`${target.name}: act is ${String(actor)}`)
  }
}
