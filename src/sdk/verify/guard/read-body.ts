/** One body of a request, read to its end and once: bounded, UTF-8 to the letter, JSON that means one thing to every reader. */
import { JwtError } from '../../../jose/jwt-error.ts'
import { parseStrictJson } from '../../../jose/strict-json.ts'
import { MCP_BODY_BYTES_MAX } from '../../../kernel/mcp-limits.ts'
import { BodyTooLarge, type GuardedBody } from './guard.ts'
import { BadMessage, PARSE_ERROR } from './messages.ts'

/** @throws BodyTooLarge, BadMessage */
export async function readBody(parts: AsyncIterable<Uint8Array> | null): Promise<GuardedBody> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of parts ?? []) {
    size += chunk.length
    if (size > MCP_BODY_BYTES_MAX) throw new BodyTooLarge()
    chunks.push(chunk)
  }
  return parseBody(Buffer.concat(chunks))
}

/** @throws BadMessage */
export function parseBody(bytes: Uint8Array): GuardedBody {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return { value: parseStrictJson(text), bytes }
  } catch (error) {
    if (!(error instanceof JwtError || error instanceof TypeError)) throw error
    throw new BadMessage(PARSE_ERROR, 'the body is not JSON that every reader reads the same')
  }
}
