/**
 * Strangers, a process of their own: requests that nobody should be let in by, at a given rate, each source from a loopback
 * address of its own (Linux has all of 127/8). One that is answered with 200 is reported; it must not be.
 */
import { randomBytes } from 'node:crypto'
import { setPriority } from 'node:os'
import { Connection } from './connection.ts'
import { type Facts, RequestMaker, RequestWriter } from './requests.ts'
import { answerCalls } from './rpc.ts'

export interface FloodOrder {
  readonly facts: Facts
  readonly port: number
  readonly perSecond: number
  readonly sources: number
}

export interface Flooded {
  readonly sent: number
  /** How many answers of each status there were; `broken`: connections closed instead. */
  readonly answers: Readonly<Record<string, number>>
}

const TICK_MS = 5
const LEAST = 19
/** So that a few sources can send many requests at once. */
const LANES_MIN = 200
/** Of each kind, made before the flood and sent again and again: none of them gets far enough to be used up. */
const OF_EACH_KIND = 32

let running: { stop(): Promise<Flooded> } | undefined

answerCalls({
  start: (order: FloodOrder): void => {
    // They are at machines of their own: making their requests must not cost the broker its processor.
    setPriority(LEAST)
    running = flood(order)
  },
  stop: async (): Promise<Flooded> => {
    if (running === undefined) throw new Error('there is no flood')
    return running.stop()
  },
})

function flood({ facts, port, perSecond, sources }: FloodOrder): { stop(): Promise<Flooded> } {
  const requests = strangersRequests(facts)
  const answers: Record<string, number> = {}
  /** Each sends one request at a time, from the address of its source. */
  const idle = Array.from({ length: Math.max(sources, LANES_MIN) }, (_, lane) => lane)
  const connections = new Map<number, Connection>()
  const pending = new Set<Promise<void>>()
  const begun = performance.now()
  let sent = 0

  const ask = async (lane: number, request: string): Promise<void> => {
    try {
      const connection =
        connections.get(lane) ?? (await Connection.open({ port, localAddress: address(lane % sources) }))
      connections.set(lane, connection)
      const { status } = await connection.ask(request)
      count(answers, String(status))
    } catch {
      // A server may well hang up on a stranger: the next one comes on a new connection.
      connections.get(lane)?.close()
      connections.delete(lane)
      count(answers, 'broken')
    }
    idle.push(lane)
  }

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - begun) / 1000) * perSecond)
    while (sent < due && idle.length > 0) {
      const lane = idle.shift() ?? 0
      const asking = ask(lane, requests[sent % requests.length] ?? '')
      pending.add(asking)
      void asking.finally(() => pending.delete(asking))
      sent += 1
    }
  }, TICK_MS)

  return {
    stop: async () => {
      clearInterval(timer)
      await Promise.all(pending)
      for (const connection of connections.values()) connection.close()
      return { sent, answers }
    },
  }
}

/** 127.0.1.1, 127.0.1.2 …: never the one that the agents come from. */
function address(source: number): string {
  return `127.0.${1 + Math.floor(source / 250)}.${1 + (source % 250)}`
}

/** Forged signatures of known clients, clients that are unknown, things that are no tokens, and no credentials at all. */
function strangersRequests(facts: Facts): readonly string[] {
  const maker = new RequestMaker(facts)
  const unknown = new RequestMaker({
    ...facts,
    agents: facts.agents.map((agent) => ({ ...agent, clientId: `nobody-${agent.clientId}` })),
  })
  const writer = new RequestWriter(facts, 'errand', 'open')
  const garbage = () => randomBytes(600).toString('base64url')
  return Array.from({ length: OF_EACH_KIND }, () => {
    const [known] = maker.make('new', 1)
    const [stranger] = unknown.make('new', 1)
    if (known === undefined || stranger === undefined) throw new Error('no request was made')
    const forged = `${known.assertion.slice(0, -86)}${randomBytes(64).toString('base64url')}`
    return [
      writer.write({ ...known, assertion: forged }),
      writer.write(stranger),
      writer.write({ subject: { ...known.subject, token: garbage() }, assertion: garbage() }),
      writer.write({ ...known, assertion: '' }),
    ]
  }).flat()
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}
