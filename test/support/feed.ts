/** The feed of revocations as a consumer of the tests' own reads it: nothing here is the verifier's code. */
import { createHmac } from 'node:crypto'
import { PATIENCE_MS, whenReady } from './patience.ts'
import type { World } from './world.ts'

export interface FeedEvent {
  readonly id: string | undefined
  readonly event: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of many shapes
  readonly data: any
}

export class FollowedStream {
  readonly response: Response
  readonly events: FeedEvent[] = []
  isOver = false
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #reading: Promise<void>
  readonly #waiting = new Set<() => void>()

  constructor(response: Response) {
    this.response = response
    if (response.body === null) throw new Error('a stream without a body')
    this.#reader = response.body.getReader()
    this.#reading = this.#read()
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder()
    let text = ''
    try {
      for (;;) {
        const { done, value } = await this.#reader.read()
        if (done) break
        text += decoder.decode(value, { stream: true })
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          this.events.push(parsed(text.slice(0, end)))
          text = text.slice(end + 2)
        }
        for (const wake of this.#waiting) wake()
      }
    } catch {
      // Cut off: how it ended is the test's to say.
    }
    this.isOver = true
    for (const wake of this.#waiting) wake()
  }

  /** The first event that is so, from `from` on. @throws where there is none within `withinMs`, or the stream has ended */
  async seen(holds: (event: FeedEvent) => boolean, withinMs = PATIENCE_MS, from = 0): Promise<FeedEvent> {
    const until = performance.now() + withinMs
    for (;;) {
      const found = this.events.slice(from).find(holds)
      if (found !== undefined) return found
      const left = until - performance.now()
      if (this.isOver || left <= 0)
        throw new Error(`no such event (${this.isOver ? 'over' : 'late'}): ${JSON.stringify(this.events.slice(-3))}`)
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer)
          this.#waiting.delete(wake)
          resolve()
        }
        const timer = setTimeout(wake, left)
        this.#waiting.add(wake)
      })
    }
  }

  heartbeat(withinMs?: number): Promise<FeedEvent> {
    return this.seen(({ event }) => event === 'heartbeat', withinMs, this.events.length)
  }

  /** It has told of this cut-off, by its raw name. */
  told(dimension: string, id: string, withinMs?: number): Promise<FeedEvent> {
    const salt = this.events[0]?.data.salt
    const wanted = salted(salt, dimension, id)
    return this.seen(({ data }) => data.cutoffs?.some((one: { id: string }) => one.id === wanted), withinMs)
  }

  async ended(withinMs = PATIENCE_MS): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('the stream goes on')), withinMs)
    })
    await Promise.race([this.#reading, late]).finally(() => clearTimeout(timer))
  }

  async close(): Promise<void> {
    await this.#reader.cancel().catch(() => undefined)
    await this.#reading
  }
}

/** As the wire format says it, written once more. */
export function salted(salt: string, dimension: string, id: string): string {
  return createHmac('sha256', salt).update(`${dimension}|${id}`).digest().subarray(0, 16).toString('base64url')
}

export interface FollowOptions {
  readonly client?: string
  readonly token?: string
  readonly lastEventId?: string
}

export async function requestStream(world: World, options: FollowOptions = {}): Promise<Response> {
  const token = options.token ?? (await world.apiToken(options.client ?? 'warehouse-server', 'revocations'))
  return await world.broker.app.request('/revocations', {
    headers: {
      Authorization: `Bearer ${token}`,
      Accept: 'text/event-stream',
      ...(options.lastEventId === undefined ? {} : { 'Last-Event-ID': options.lastEventId }),
    },
  })
}

/** A stream that has told its first event. */
export async function follow(world: World, options: FollowOptions = {}): Promise<FollowedStream> {
  const response = await whenReady(() => requestStream(world, options))
  if (response.status !== 200) throw new Error(`not followed: ${response.status} ${await response.text()}`)
  const stream = new FollowedStream(response)
  await stream.seen(() => true)
  return stream
}

function parsed(block: string): FeedEvent {
  const fields = new Map(
    block.split('\n').map((line): [string, string] => {
      const colon = line.indexOf(': ')
      return [line.slice(0, colon), line.slice(colon + 2)]
    }),
  )
  return { id: fields.get('id'), event: fields.get('event') ?? '', data: JSON.parse(fields.get('data') ?? 'null') }
}
