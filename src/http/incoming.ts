/**
 * A request as Node's parser left it: its headers, its query and its body without the web `Request` that would be made of
 * them (two streams and a dozen objects, a tenth of an exchange's time). In-process requests have only the `Request`.
 *
 * Guarantees: a header sent twice is both values, joined as RFC 9110 §5.3 says, never the first or the last one alone.
 */
import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import { Rejection } from '../kernel/rejection.ts'

type IncomingMessage = HttpBindings['incoming']

function incomingOf(context: Context): IncomingMessage | undefined {
  return (context.env as Partial<HttpBindings> | undefined)?.incoming
}

/** @param name in lower case */
export function headerOf(context: Context, name: string): string | undefined {
  const incoming = incomingOf(context)
  return incoming === undefined ? context.req.header(name) : rawHeader(incoming.rawHeaders, name)
}

/** @param name in lower case */
export function rawHeader(raw: readonly string[], name: string): string | undefined {
  let value: string | undefined
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const candidate = raw[at] ?? ''
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue
    value = value === undefined ? raw[at + 1] : `${value}, ${raw[at + 1]}`
  }
  return value
}

/** In-process requests have none. */
export function socketOf(context: Context): IncomingMessage['socket'] | undefined {
  return incomingOf(context)?.socket
}

/** Address of the socket's other end; in-process requests have none. */
export function peerOf(context: Context): string {
  return socketOf(context)?.remoteAddress ?? 'unknown'
}

/** Ends the connection at once, whatever was still to be sent on it. */
export function dropConnection(context: Context): void {
  ;(context.env as Partial<HttpBindings> | undefined)?.outgoing?.destroy()
}

/** The names in the request's query, as often as they stand there. */
export function queryNames(context: Context): Iterable<string> {
  const url = incomingOf(context)?.url ?? context.req.url
  const query = url.indexOf('?')
  return query < 0 ? [] : new URLSearchParams(url.slice(query + 1)).keys()
}

/** Is given the bytes of a body piece by piece, as they come in. */
export type Take = (chunk: Uint8Array) => void

/**
 * Every byte of the body, or `undefined` as soon as there are more than `most`: the rest is not read into memory.
 * @throws Rejection `body_malformed` where it ends too early
 */
export async function bodyOf(context: Context, most: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  const isWhole = await takeBody(context, most, (chunk) => chunks.push(chunk))
  if (!isWhole) return undefined
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
}

/** As `bodyOf`, of a body that is never held here as a whole: `false` as soon as there are more than `most`. @throws what `take` throws, too */
export async function takeBody(context: Context, most: number, take: Take): Promise<boolean> {
  const incoming = incomingOf(context)
  if (incoming !== undefined) return takeIncoming(incoming, most, take)
  const stream = context.req.raw.body
  let bytes = 0
  if (stream === null) return true
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength
    if (bytes > most) return false
    take(chunk)
  }
  return true
}

function takeIncoming(incoming: IncomingMessage, most: number, take: Take): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let bytes = 0
    const stop = () => {
      incoming.off('data', onData)
      incoming.off('end', onEnd)
      incoming.off('close', onClose)
    }
    const onData = (chunk: Buffer) => {
      bytes += chunk.byteLength
      try {
        if (bytes <= most) return take(chunk)
        resolve(false)
      } catch (fault) {
        // Thrown on from here it would be nobody's, and end the process.
        reject(fault)
      }
      stop()
      incoming.pause()
    }
    const onEnd = () => {
      stop()
      resolve(true)
    }
    // Its sender went away, or was too slow: nobody is left to answer, and it is no fault of ours to be logged.
    const onClose = () => {
      stop()
      reject(new Rejection('body_malformed', 'the connection was closed before the body had arrived'))
    }
    incoming.on('data', onData)
    incoming.on('end', onEnd)
    incoming.on('close', onClose)
  })
}
