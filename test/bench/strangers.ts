/**
 * Strangers, a process of their own: requests that nobody should be let in by, each source from a loopback address of its own
 * (Linux has all of 127/8). They come as independent callers do, at random moments of a given rate, and nobody's answer delays
 * the next one's request. What could not be sent in its moment is not sent later: a burst would be another load than the one
 * that was asked for, so it is missing from what is reported as sent.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { getPriority, setPriority } from 'node:os'
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
  /** How many should have been. */
  readonly due: number
  readonly seconds: number
  /** How many answers of each status there were; `broken`: connections closed instead. */
  readonly answers: Readonly<Record<string, number>>
}

const TICK_MS = 1
/** Sent at one moment at the most. */
const AT_ONCE_MAX = 8
const LOWER = 5
const LEAST = 19
/** One request at a time on each: enough that those whose refusal is held back do not keep the others from asking. */
const CONNECTIONS_MAX = 3_000
/** Of each kind, made before the flood and sent again and again: none of them gets far enough to be used up. */
const OF_EACH_KIND = 32

let running: { stop(): Promise<Flooded> } | undefined

answerCalls({
  start: (order: FloodOrder): void => {
    running = flood(order)
  },
  stop: async (): Promise<Flooded> => {
    if (running === undefined) throw new Error('there is no flood')
    return running.stop()
  },
})

// They are at machines of their own: making their requests must not cost the broker its processor.
setPriority(Math.min(getPriority() + LOWER, LEAST))

function flood({ facts, port, perSecond, sources }: FloodOrder): { stop(): Promise<Flooded> } {
  const requests = strangersRequests(facts)
  const answers: Record<string, number> = {}
  /** Of each source, those that wait for something to ask. */
  const idle = Array.from({ length: sources }, (): Connection[] => [])
  const open = new Set<Connection>()
  const pending = new Set<Promise<void>>()
  const begun = performance.now()
  let next = begun
  let due = 0
  let sent = 0

  const ask = async (source: number, request: string): Promise<void> => {
    let connection = idle[source]?.pop()
    try {
      connection ??= await Connection.open({ port, localAddress: address(source) })
      open.add(connection)
      const { status } = await connection.ask(request)
      count(answers, String(status))
      idle[source]?.push(connection)
    } catch {
      // A server may well hang up on a stranger: the next one comes on a new connection.
      if (connection !== undefined) open.delete(connection)
      connection?.close()
      count(answers, 'broken')
    }
  }

  const send = () => {
    const asking = ask(randomInt(sources), requests[sent % requests.length] ?? '')
    pending.add(asking)
    void asking.finally(() => pending.delete(asking))
    sent += 1
  }

  const timer = setInterval(() => {
    const now = performance.now()
    for (let atOnce = 0; next <= now; next += pauseMs(perSecond)) {
      due += 1
      if (atOnce === AT_ONCE_MAX || pending.size >= CONNECTIONS_MAX) continue
      send()
      atOnce += 1
    }
  }, TICK_MS)

  return {
    stop: async () => {
      clearInterval(timer)
      const seconds = (performance.now() - begun) / 1000
      await Promise.all(pending)
      for (const connection of open) connection.close()
      return { sent, due, seconds, answers }
    },
  }
}

/** To the next of callers who know nothing of each other (a Poisson process). */
function pauseMs(perSecond: number): number {
  return (-Math.log(randomInt(1, 2 ** 32) / 2 ** 32) * 1000) / perSecond
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
