/** A witness over HTTP (C2SP tlog-witness): one endpoint, and one that says it is alive. No caller is known or needs to be. */
import { NOTE_CHARS_MAX } from '../tlog/note.ts'
import type { Witness } from './witness.ts'

/** A proof and a note: what is longer is not read to its end. */
const BODY_BYTES_MAX = NOTE_CHARS_MAX
const TEXT = { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' }

/** @param report is told what kept an answer from being given */
export function witnessHandler(witness: Witness, report: (fault: unknown) => void) {
  return async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url)
    if (pathname === '/healthz' && request.method === 'GET') return answer(200, 'alive\n')
    if (pathname !== '/add-checkpoint') return answer(404, 'no such endpoint\n')
    if (request.method !== 'POST') return answer(405, 'POST only\n', { Allow: 'POST' })
    const body = await readBody(request).catch(() => undefined)
    if (body === undefined) return answer(400, 'not a text in UTF-8, or too long\n')
    try {
      const told = await witness.add(body)
      if (told.status === 409) return answer(409, `${told.size}\n`, { 'Content-Type': 'text/x.tlog.size' })
      return answer(told.status, told.text)
    } catch (fault) {
      report(fault)
      return answer(500, 'the witness cannot keep what it would sign\n')
    }
  }
}

function answer(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(text, { status, headers: { ...TEXT, ...headers } })
}

async function readBody(request: Request): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks))
}
