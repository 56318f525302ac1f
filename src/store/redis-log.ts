/** The log in Redis: a text for each piece and one for the head, all in one slot, changed together by one script. */
import { checkedName, checkPieces } from './log-pieces.ts'
import type { LogPiece, LogStore } from './ports.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { Argument, RedisLink } from './redis-link.ts'

export class RedisLog implements LogStore {
  readonly #connection: RedisLink
  readonly #keys: RedisKeys

  constructor(connection: RedisLink, keys: RedisKeys) {
    this.#connection = connection
    this.#keys = keys
  }

  async head(): Promise<string | undefined> {
    const found = await this.#connection.command(['GET', this.#keys.logHead()])
    return typeof found === 'string' ? found : undefined
  }

  async append(expected: string | undefined, head: string, pieces: readonly LogPiece[]): Promise<boolean> {
    checkPieces(head, pieces)
    const keys = [this.#keys.logHead(), ...pieces.map(({ name }) => this.#keys.logPiece(name))]
    const args = [expected === undefined ? '-' : `+${expected}`, head, ...pieces.flatMap(pieceArguments)]
    return (await this.#connection.durably('errandLogAppend', keys, args)) === 1
  }

  async read(names: readonly string[]): Promise<readonly (Buffer | undefined)[]> {
    if (names.length === 0) return []
    const keys = names.map((name) => this.#keys.logPiece(checkedName(name)))
    const found = await this.#connection.bytes(['MGET', ...keys])
    return (found as readonly (Buffer | null)[]).map((bytes) => bytes ?? undefined)
  }

  async remove(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    const keys = names.map((name) => this.#keys.logPiece(checkedName(name)))
    await this.#connection.command(['UNLINK', ...keys])
    await this.#connection.standing(this.#keys.logHead())
  }
}

function pieceArguments(piece: LogPiece): readonly Argument[] {
  if (!('put' in piece)) return ['add', piece.add]
  return piece.put === undefined ? ['remove', ''] : ['put', piece.put]
}
