/**
 * The JSON body of a refusal, for whoever would stay within what was declared: how to narrow the call, what the session is for,
 * and how somebody may be asked to allow it (`sdk/verify/guard/answers.ts` writes them). A server's own words: read within a bound
 * and a time, and without what could forge a line, steer a terminal or be a token. What is not so is left out, whole.
 */
import { isJsonObject, parseStrictJson } from '../../jose/strict-json.ts'
import { plainData } from './plain-text.ts'

export interface Told {
  /** What the session was opened for. */
  readonly declared?: Json
  /** What arguments would be allowed. */
  readonly narrow_to?: Json
  /** How somebody may be asked (AuthZEN access request). */
  readonly access_request?: Json
}

type Json = Readonly<Record<string, unknown>>

const BODY_BYTES_MAX = 32_768
const BODY_MS_MAX = 2_000
const VALUES_MAX = 1_000

/** Reads the body to its end, or gives it up. Never throws: what cannot be read tells nothing. */
export async function readTold(response: Response): Promise<Told> {
  const text = await boundedText(response).catch(() => undefined)
  if (text === undefined) return {}
  try {
    const body = parseStrictJson(text)
    if (!isJsonObject(body)) return {}
    const told = (['declared', 'narrow_to', 'access_request'] as const).flatMap((name) => {
      const value = isJsonObject(body[name]) ? plainJson(body[name], { values: VALUES_MAX }) : undefined
      return value === undefined ? [] : [[name, value] as const]
    })
    return Object.fromEntries(told)
  } catch {
    return {} // not JSON
  }
}

/** `undefined`: it is too much, or not plain. */
function plainJson(value: unknown, left: { values: number }): unknown {
  left.values -= 1
  if (left.values < 0) return undefined
  if (typeof value === 'string') return plainData(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const items = value.map((item) => plainJson(item, left))
    return items.includes(undefined) ? undefined : items
  }
  const members = Object.entries(value).map(([name, member]) => [plainData(name), plainJson(member, left)] as const)
  return members.some(([name, member]) => name === undefined || member === undefined)
    ? undefined
    : Object.fromEntries(members)
}

async function boundedText(response: Response): Promise<string | undefined> {
  const type = response.headers.get('content-type') ?? ''
  if (response.body === null || !/^application\/json\s*(?:;|$)/i.test(type)) {
    await response.body?.cancel()
    return undefined
  }
  const reader = response.body.getReader()
  // One that goes on for ever must not keep the caller from hearing that it was refused.
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), BODY_MS_MAX)
  try {
    const chunks: Uint8Array[] = []
    let size = 0
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      size += part.value.length
      if (size > BODY_BYTES_MAX) {
        await reader.cancel()
        return undefined
      }
      chunks.push(part.value)
    }
    return Buffer.concat(chunks).toString('utf8')
  } finally {
    clearTimeout(timer)
  }
}
