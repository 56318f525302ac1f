/** A feed of revocations that says what the test tells it to, to every verifier that follows it. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Dimension } from '../../src/authority/dimensions.ts'
import { saltedId } from '../../src/authority/salted-id.ts'
import type { StreamDoor } from '../../src/sdk/broker/http.ts'

const SALT = 'salt'

export class ToldFeed {
  readonly #nowMs: () => number
  readonly #streams = new Set<(event: Uint8Array) => void>()
  #seq = 1

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  readonly open: StreamDoor = async ({ signal }) => {
    const waiting: Uint8Array[] = []
    let wake = () => {}
    const take = (event: Uint8Array) => {
      waiting.push(event)
      wake()
    }
    this.#streams.add(take)
    signal.addEventListener('abort', () => wake(), { once: true })
    const told = this.#streams
    take(eventOf('snapshot', { epoch: 'e', seq: this.#seq, salt: SALT, cutoffs: [] }))
    take(this.#heartbeat())
    return (async function* () {
      while (!signal.aborted) {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield next
        await new Promise<void>((resolve) => {
          wake = resolve
          if (waiting.length > 0 || signal.aborted) resolve()
        })
      }
      told.delete(take)
    })()
  }

  /** It is up to date now. */
  async beat(): Promise<void> {
    await this.#tell(this.#heartbeat())
  }

  async cutOff(dimension: Dimension, id: string): Promise<void> {
    const previous = this.#seq
    this.#seq += 1
    const cutoff = {
      dimension,
      id: saltedId(SALT, dimension, id),
      seq: this.#seq,
      expires_at_ms: this.#nowMs() + 900_000,
    }
    await this.#tell(eventOf('cutoffs', { previous, seq: this.#seq, cutoffs: [cutoff] }))
    await this.beat()
  }

  #heartbeat(): Uint8Array {
    return eventOf('heartbeat', { epoch: 'e', seq: this.#seq, as_of: this.#nowMs() })
  }

  /** Until it has been heard. */
  async #tell(event: Uint8Array): Promise<void> {
    for (const take of this.#streams) take(event)
    for (let n = 0; n < 3; n += 1) await turn()
  }
}

function eventOf(event: string, data: object): Uint8Array {
  return Buffer.from(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
}
