/** What the external PDP said, as JSON and back: it is part of the question, so that a stored one has the same answer again. */
import { isPlainObject, own } from '../authority/strict-object.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import type { ExternalAnswer } from '../model/decision.ts'

export function encodeExternal(answer: ExternalAnswer): unknown {
  if (answer.kind !== 'answered') return answer
  return { kind: answer.kind, allowed: [...answer.allowed].map(([url, tools]) => [url, ...tools]) }
}

/** @throws Error where it is not what `encodeExternal` wrote */
export function decodeExternal(value: unknown): ExternalAnswer {
  if (!isPlainObject(value)) throw malformed()
  const [kind, cause, allowed] = [own(value, 'kind'), own(value, 'cause'), own(value, 'allowed')]
  if (kind === 'none') return { kind }
  if (kind === 'failed' && typeof cause === 'string') return { kind, cause }
  if (kind === 'answered' && Array.isArray(allowed)) return { kind, allowed: new Map(allowed.map(allowedAt)) }
  throw malformed()
}

function allowedAt(entry: unknown): [ResourceUrl, ReadonlySet<string>] {
  if (!Array.isArray(entry) || !entry.every((name) => typeof name === 'string')) throw malformed()
  const [url, ...tools] = entry as [ResourceUrl, ...string[]]
  return [url, new Set(tools)]
}

function malformed(): Error {
  return new Error('stored question is malformed: what the external policy said is no answer')
}
