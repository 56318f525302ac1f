/**
 * Long documents are read in a thread of their own. Neither JSON nor YAML can be parsed in slices, and a hundred thousand grants
 * take half a second as one and a minute as the other: nobody would be answered meanwhile. What was read comes back in pieces,
 * each taken over in a millisecond or two. The thread is this file again, and reads one document.
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
import { ConfigurationError, parseYamlText } from '../strict-document.ts'
import { assembled, type Piece, piecesOf } from './pieces.ts'

/** `json`: without repeated members and what else two readers may read differently. */
export type Format = 'json' | 'yaml'

/** Read where they are, in a few milliseconds: to start a thread takes longer. */
const SHORT_BYTES_MAX: Readonly<Record<Format, number>> = { json: 128 * 1024, yaml: 4 * 1024 }

interface Order {
  readonly kind: 'read a document'
  readonly bytes: Uint8Array
  readonly format: Format
  readonly sourceName: string
  readonly pieces: MessagePort
}

/** What is wrong with it; nothing: it is all there. */
type Answer = readonly string[]

/**
 * The document that this UTF-8 text says.
 * @param sourceName what problems are reported under
 * @throws ConfigurationError
 */
export async function readDocument(bytes: Uint8Array, format: Format, sourceName: string): Promise<unknown> {
  if (bytes.byteLength <= SHORT_BYTES_MAX[format]) return parsed(bytes, format, sourceName)
  const { port1: pieces, port2 } = new MessageChannel()
  const order: Order = { kind: 'read a document', bytes, format, sourceName, pieces: port2 }
  const thread = new Worker(new URL(import.meta.url), { workerData: order, transferList: [port2] })
  // A broker that stops does not wait for it.
  thread.unref()
  try {
    // A thread that breaks off says so here, too.
    const [problems] = (await once(thread, 'message')) as [Answer]
    if (problems.length > 0) throw new ConfigurationError(problems)
    return await inSlices(assembled(received(pieces)))
  } finally {
    pieces.close()
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
    return parseStrictJson(text)
  } catch (fault) {
    throw new ConfigurationError([`${sourceName}: ${messageOf(fault)}`])
  }
}

/** All of them were sent before the answer was. */
function* received(port: MessagePort): Generator<Piece> {
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) yield next.message
}

function answer({ bytes, format, sourceName, pieces }: Order): Answer {
  try {
    for (const piece of piecesOf(parsed(bytes, format, sourceName))) pieces.postMessage(piece)
    return []
  } catch (fault) {
    if (fault instanceof ConfigurationError) return fault.problems
    throw fault
  }
}

if (!isMainThread && (workerData as Order | undefined)?.kind === 'read a document') {
  parentPort?.postMessage(answer(workerData as Order))
}
