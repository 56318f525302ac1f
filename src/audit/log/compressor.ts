/**
 * Compresses one thing after another with one engine, on a thread of its own. An engine that is made for each is left to a
 * collection of old objects, with all that it has read and written: several megabytes a second, and a pause for everybody.
 */
import zlib, { constants, createDeflateRaw } from 'node:zlib'

const CHUNK_BYTES = 64 * 1024
/** Of either: half the size, or less, for a tenth of the time. */
const LEVEL = 1

export interface Engine {
  /** What is written to it is a whole of its own. */
  readonly stream: ReturnType<typeof createDeflateRaw> | ReturnType<typeof zlib.createZstdCompress>
  /** Behind each write. */
  again(): void
}

/** Raw deflate (RFC 1951). */
export function newDeflate(): Engine {
  const stream = createDeflateRaw({ level: LEVEL, chunkSize: CHUNK_BYTES, flush: constants.Z_FINISH })
  return { stream, again: () => stream.reset() }
}

/** Zstandard (RFC 8878): smaller, for a third of the time. Node 22.15 and later have it. */
export const newZstandard = typeof zlib.createZstdCompress === 'function' ? zstandard : undefined

function zstandard(): Engine {
  const params = { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 }
  const stream = zlib.createZstdCompress({ chunkSize: CHUNK_BYTES, flush: constants.ZSTD_e_end, params })
  // Behind the end of a frame another begins by itself; where its output ends with a piece, Node asks once more, for an empty one.
  return { stream, again: () => undefined }
}

export class Compressor {
  readonly #newEngine: () => Engine
  #engine: Engine | undefined
  /** Whoever waits for the write under way. */
  #failed: (error: Error) => void = () => undefined
  #chunks: Buffer[] = []
  /** The one before. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(newEngine: () => Engine) {
    this.#newEngine = newEngine
  }

  /** Whole, in pieces. */
  compressed(bytes: Uint8Array): Promise<readonly Buffer[]> {
    const turn = this.#last.then(() => this.#compressed(bytes))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  #compressed(bytes: Uint8Array): Promise<readonly Buffer[]> {
    const engine = this.#engine ?? this.#begun()
    this.#chunks = []
    return new Promise((resolve, reject) => {
      this.#failed = reject
      engine.stream.write(bytes, (error) => {
        if (error != null) return reject(error)
        // What it still holds is told by its event, as all the rest.
        while (engine.stream.read() !== null);
        engine.again()
        resolve(this.#chunks)
      })
    })
  }

  #begun(): Engine {
    const engine = this.#newEngine()
    engine.stream.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    // An engine that fails does not answer the write that it failed in.
    engine.stream.on('error', (error) => {
      this.#engine = undefined
      this.#failed(error)
    })
    this.#engine = engine
    return engine
  }
}
