/**
 * Documents that operators write: read as strict YAML 1.2, decoded by strict schemas, and refused as a whole with every
 * problem named by its path, so that one edit can repair them all.
 *
 * Refused: duplicate keys (the last would win silently), aliases (expansion bombs), unknown tags, several documents in one
 * file, keys that are not strings, `__proto__` as a key (zod's records skip it silently), and any key a schema does not know.
 */
import { parseDocument } from 'yaml'
import { type ZodError, type ZodRawShape, z } from 'zod'
import { nearestName } from '../kernel/nearest-name.ts'

/** An operator's document that cannot be used. Nothing of it is applied. */
export class ConfigurationError extends Error {
  /** One line each, beginning with the document's name and the path inside it. Never a value that could be secret. */
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigurationError'
    this.problems = problems
  }
}

/** @throws ConfigurationError */
export function parseYamlText(text: string, sourceName: string): unknown {
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    strict: true,
    uniqueKeys: true,
    stringKeys: true,
    prettyErrors: true,
  })
  // A warning is something the parser repaired (an unknown tag becomes a string): what it meant is then a guess.
  const faults = [...document.errors, ...document.warnings]
  if (faults.length > 0) {
    // Only the first line: the rest quotes the document, which may hold what must not be logged.
    throw new ConfigurationError(faults.map((fault) => `${sourceName}: ${fault.message.split('\n')[0]}`))
  }
  try {
    return document.toJS({ maxAliasCount: 0 })
  } catch {
    throw new ConfigurationError([`${sourceName}: aliases (*name) are not allowed; write the value out`])
  }
}

/** An object whose keys are exactly those of `shape`; another key is a problem that suggests the nearest known one. */
export function strictObject<S extends ZodRawShape>(shape: S) {
  const known = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => unknownKey(key, known)).join('\n') : undefined,
  })
}

/** Where in which document something stands: what problems are reported under. */
export interface Within {
  readonly sourceName: string
  readonly path: readonly PropertyKey[]
}

/**
 * The decoded document, or `undefined` after adding what is wrong with it to `problems`.
 * @param source its name; of a part of one, where that stands
 */
export function decodeStrictly<T>(
  schema: z.ZodType<T>,
  document: unknown,
  source: string | Within,
  problems: string[],
): T | undefined {
  const within = typeof source === 'string' ? { sourceName: source, path: [] } : source
  const poisoned = [...pathsToProto(document, [])]
  for (const path of poisoned) problems.push(`${placeIn(within, path)}: may not be used as a name`)
  if (poisoned.length > 0) return undefined
  const result = schema.safeParse(document)
  if (result.success) return result.data
  problems.push(...problemsOf(result.error, within))
  return undefined
}

/** `errand.yaml: tokens.access_token_seconds` */
export function place(sourceName: string, path: readonly PropertyKey[]): string {
  let text = ''
  for (const step of path)
    text += typeof step === 'number' ? `[${step}]` : text === '' ? String(step) : `.${String(step)}`
  return text === '' ? sourceName : `${sourceName}: ${text}`
}

function placeIn({ sourceName, path }: Within, inner: readonly PropertyKey[]): string {
  return place(sourceName, [...path, ...inner])
}

function problemsOf(error: ZodError, within: Within): string[] {
  const problems: string[] = []
  for (const issue of error.issues) {
    if (issue.code === 'unrecognized_keys') {
      const messages = issue.message.split('\n')
      issue.keys.forEach((key, index) => {
        problems.push(`${placeIn(within, [...issue.path, key])}: ${messages[index] ?? 'unknown key'}`)
      })
    } else if (issue.code === 'invalid_key') {
      const why = issue.issues.map((inner) => inner.message).join('; ')
      problems.push(`${placeIn(within, issue.path)}: not a usable name: ${why}`)
    } else if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) {
      problems.push(`${placeIn(within, issue.path)}: required`)
    } else {
      problems.push(`${placeIn(within, issue.path)}: ${issue.message}`)
    }
  }
  return problems
}

function* pathsToProto(value: unknown, path: readonly PropertyKey[]): Generator<readonly PropertyKey[]> {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const [index, member] of value.entries()) yield* pathsToProto(member, [...path, index])
    return
  }
  for (const [key, member] of Object.entries(value)) {
    if (key === '__proto__') yield [...path, key]
    else yield* pathsToProto(member, [...path, key])
  }
}

function unknownKey(key: string, known: readonly string[]): string {
  const nearest = nearestName(key, known)
  return nearest === undefined
    ? `unknown key; known here: ${known.join(', ')}`
    : `unknown key; did you mean ${nearest}?`
}
