/**
 * Compresses one thing after another with one engine, on a thread of its own. An engine that is made for each is left to a
 * collection of old objects, with all that it has read and written: several megabytes a second, and a pause for everybody.
 */
import { constants, createDeflateRaw, type DeflateRaw } from 'node:zlib'

/** Half the size for a tenth of the time. */
const LEVEL = 1
const CHUNK_BYTES = 64 * 1024

export class Deflater {
  readonly #newEngine: () => DeflateRaw
  #engine: DeflateRaw | undefined
  /** Whoever waits for the write under way. */
  #failed: (error: Error) => void = () => undefined
  #chunks: Buffer[] = []
  /** The one before. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(newEngine = () => createDeflateRaw({ level: LEVEL, chunkSize: CHUNK_BYTES, flush: constants.Z_FINISH })) {
    this.#newEngine = newEngine
  }

  /** Raw deflate (RFC 1951), whole, in pieces. */
  deflated(bytes: Uint8Array): Promise<readonly Buffer[]> {
    const turn = this.#last.then(() => this.#deflated(bytes))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  #deflated(bytes: Uint8Array): Promise<readonly Buffer[]> {
    const engine = this.#engine ?? this.#begun()
    this.#chunks = []
    return new Promise((resolve, reject) => {
      this.#failed = reject
      engine.write(bytes, (error) => {
        // Told by its event, too.
        if (error != null) return
        // What it still holds is told by its event, as all the rest.
        while (engine.read() !== null);
        engine.reset()
        resolve(this.#chunks)
      })
    })
  }

  /** Each write is a whole of its own. */
  #begun(): DeflateRaw {
    const engine = this.#newEngine()
    engine.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    // An engine that fails does not answer the write that it failed in.
    engine.on('error', (error) => {
      this.#engine = undefined
      this.#failed(error)
    })
    this.#engine = engine
    return engine
  }
}
