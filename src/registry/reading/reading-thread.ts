/**
 * Long documents are read in a thread of their own. Neither JSON nor YAML can be parsed in slices, and a hundred thousand grants
 * take half a second as one and a minute as the other: nobody would be answered meanwhile. What was read comes back in pieces,
 * each taken over in a millisecond or two; of entries that were in the long document before it, nothing but their places. The
 * thread is this file again, and reads one document.
 */
import { once } from 'node:events'
import {
  isMainThread,
  MessageChannel,
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  Worker,
  workerData,
} from 'node:worker_threads'
import { parseStrictJson } from '../../jose/strict-json.ts'
import { messageOf } from '../../kernel/fault.ts'
import { inSlices } from '../../kernel/slices.ts'
import { documentsAtOnce } from '../publication/policy-text.ts'
import { ConfigurationError, parseYamlText } from '../strict-document.ts'
import { type KnownEntries, NOTHING_KNOWN, Recognition } from './known-entries.ts'
import { assembled, type Piece, piecesOf } from './pieces.ts'

/** `json`: without repeated members and what else two readers may read differently; `policy`: as the store keeps one. */
export type Format = 'json' | 'yaml' | 'policy'

/** Read where they are, in a few milliseconds: to start a thread takes longer. */
const SHORT_BYTES_MAX: Readonly<Record<Format, number>> = {
  json: 128 * 1024,
  yaml: 4 * 1024,
  policy: 16 * 1024,
}

/** Gives the bytes of a text away, piece by piece: what was taken is no longer the giver's. */
export type Give = (take: (chunk: Uint8Array) => void) => Promise<void> | void

interface Order {
  readonly kind: 'read a document'
  readonly format: Format
  readonly sourceName: string
  /** Takes the text, and `END` after it; gives the document. */
  readonly pieces: MessagePort
  readonly known: KnownEntries['digests']
}

interface Answer {
  /** What is wrong with it; nothing: it is all there. */
  readonly problems: readonly string[]
  readonly digests: KnownEntries['digests']
}

const END = 'end'

/** Of the long document that was read last, whoever wanted it: what is read is never changed. */
let lastRead = NOTHING_KNOWN

/**
 * The document that this UTF-8 text says.
 * @param sourceName what problems are reported under
 * @throws ConfigurationError; whatever `give` throws
 */
export async function readDocument(give: Give, format: Format, sourceName: string): Promise<unknown> {
  const chunks: Uint8Array[] = []
  const long: { reading?: Reading } = {}
  let bytes = 0
  try {
    await give((chunk) => {
      if (long.reading !== undefined) return long.reading.add(chunk)
      chunks.push(chunk)
      bytes += chunk.byteLength
      if (bytes <= SHORT_BYTES_MAX[format]) return
      const reading = new Reading(format, sourceName)
      long.reading = reading
      for (const one of chunks.splice(0)) reading.add(one)
    })
    return long.reading === undefined
      ? parsed(Buffer.concat(chunks), format, sourceName)
      : await long.reading.document()
  } finally {
    long.reading?.end()
  }
}

/** Of one long document: the thread is given the text while it still comes in, so that it is not held here as a whole. */
class Reading {
  readonly #pieces: MessagePort
  readonly #answer: Promise<[Answer]>
  readonly #known = lastRead

  constructor(format: Format, sourceName: string) {
    const { port1, port2: pieces } = new MessageChannel()
    this.#pieces = port1
    const order: Order = { kind: 'read a document', format, sourceName, pieces, known: this.#known.digests }
    const thread = new Worker(new URL(import.meta.url), { workerData: order, transferList: [pieces] })
    // A broker that stops does not wait for it.
    thread.unref()
    // A thread that breaks off says so here, too; perhaps while the text still comes in.
    this.#answer = once(thread, 'message') as Promise<[Answer]>
    this.#answer.catch(() => undefined)
  }

  add(chunk: Uint8Array): void {
    // Of a view, all that it is a view of would be handed over.
    const own = chunk.byteLength === chunk.buffer.byteLength ? chunk : new Uint8Array(chunk)
    this.#pieces.postMessage(own, [own.buffer as ArrayBuffer])
  }

  /** Once. @throws ConfigurationError */
  async document(): Promise<unknown> {
    this.#pieces.postMessage(END)
    const [{ problems, digests }] = await this.#answer
    if (problems.length > 0) throw new ConfigurationError(problems)
    const entries: unknown[] = []
    const document = await inSlices(assembled(received(this.#pieces), this.#known.entries, entries))
    lastRead = { digests, entries }
    return document
  }

  /** The thread has nothing more to wait for, and ends. */
  end(): void {
    this.#pieces.close()
  }
}

function parsed(bytes: Uint8Array, format: Format, sourceName: string): unknown {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new ConfigurationError([`${sourceName}: is not UTF-8`])
  }
  if (format === 'yaml') return parseYamlText(text, sourceName)
  try {
    return format === 'json' ? parseStrictJson(text) : documentsAtOnce(text)
  } catch (fault) {
    throw new ConfigurationError([`${sourceName}: ${messageOf(fault)}`])
  }
}

/** All of them were sent before the answer was. */
function* received(port: MessagePort): Generator<Piece> {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) yield next.message
}

function answerTo(order: Order): void {
  const chunks: Uint8Array[] = []
  order.pieces.on('message', (chunk: Uint8Array | typeof END) => {
    if (chunk === END) parentPort?.postMessage(answer(order, Buffer.concat(chunks)))
    else chunks.push(chunk)
  })
}

function answer({ format, sourceName, pieces, known }: Order, text: Uint8Array): Answer {
  const recognition = new Recognition(known)
  try {
    const document = parsed(text, format, sourceName)
    for (const piece of piecesOf(document, (entry) => recognition.placeOf(entry))) pieces.postMessage(piece)
    return { problems: [], digests: recognition.digests() }
  } catch (fault) {
    if (fault instanceof ConfigurationError) return { problems: fault.problems, digests: NOTHING_KNOWN.digests }
    throw fault
  }
}

if (!isMainThread && (workerData as Order | undefined)?.kind === 'read a document') answerTo(workerData as Order)
