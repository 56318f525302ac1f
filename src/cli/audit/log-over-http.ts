/** The log as a broker hands it out, for whoever verifies: pieces in few requests, large ones put together of their parts. */
import type { LogSource } from '../../audit/log/verify/log-source.ts'
import { systemTicks } from '../../kernel/clock.ts'
import { CommandFailure } from '../failures.ts'
import { arrayOf, jsonObject, numberIn } from '../json-fields.ts'
import type { Operator } from '../operator.ts'

const LOG_PATH = '/audit/log'
const NAMES_MAX = 128
/** The token of a command is good for a minute; a long log takes longer. */
const RECONNECT_MS = 30_000

export interface LogStateAnswer {
  readonly head: string | undefined
  readonly checkpoint: string | undefined
  readonly cosigned: string | undefined
  readonly continued: string | undefined
  readonly keys: readonly string[]
}

export async function askLogState(operator: Operator): Promise<LogStateAnswer> {
  const { head, checkpoint, cosigned, continued, keys } = await operator.get(LOG_PATH)
  return {
    head: asIs(head),
    checkpoint: asIs(checkpoint),
    cosigned: asIs(cosigned),
    continued: asIs(continued),
    keys: arrayOf(keys).flatMap((key) => asIs(key) ?? []),
  }
}

export function logOverHttp(connect: () => Promise<Operator>): LogSource {
  const operator = reconnecting(connect)
  return {
    head: async () => (await askLogState(await operator())).head,
    read: async (names) => {
      const wanted = names.map((name) => new Wanted(name))
      for (let open = wanted; open.length > 0; open = wanted.filter(({ isDone }) => !isDone)) {
        await readSome(open.slice(0, NAMES_MAX), await operator())
      }
      return wanted.map((one) => one.bytes)
    },
  }
}

/** One piece, as far as it was read. */
class Wanted {
  readonly name: string
  isDone = false
  #parts: Buffer[] = []
  #length = 0
  #isThere = true

  constructor(name: string) {
    this.name = name
  }

  get from(): number {
    return this.#parts.reduce((sum, part) => sum + part.length, 0)
  }

  get bytes(): Buffer | undefined {
    return this.#isThere ? Buffer.concat(this.#parts) : undefined
  }

  take(part: Buffer, length: number): void {
    // It was written anew meanwhile: the parts do not belong together.
    if (this.from > 0 && length !== this.#length) this.#parts = []
    else this.#parts.push(part)
    this.#length = length
    this.#isThere = !Number.isNaN(length)
    this.isDone = !this.#isThere || this.from >= length
  }
}

async function readSome(wanted: readonly Wanted[], operator: Operator): Promise<void> {
  const answer = await operator.post(LOG_PATH, { pieces: wanted.map(({ name, from }) => ({ name, from })) })
  const pieces = arrayOf(answer['pieces']).map(jsonObject)
  if (pieces.length === 0) throw new CommandFailure('the broker handed out nothing of its log')
  for (const [n, { name, bytes, length }] of pieces.entries()) {
    const one = wanted[n]
    if (one === undefined || name !== one.name) {
      throw new CommandFailure('the broker handed out another piece of its log than was asked for')
    }
    one.take(Buffer.from(asIs(bytes) ?? '', 'base64'), numberIn(length))
  }
}

function reconnecting(connect: () => Promise<Operator>): () => Promise<Operator> {
  let operator: Promise<Operator> | undefined
  let sinceMs = 0
  return () => {
    const nowMs = systemTicks.ticksMs()
    if (operator === undefined || nowMs - sinceMs > RECONNECT_MS) {
      sinceMs = nowMs
      operator = connect()
    }
    return operator
  }
}

/** Letter by letter: a signature is over every one. */
function asIs(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
