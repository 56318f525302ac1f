/** `WWW-Authenticate` as servers send it (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1): read, and not believed. */
import { parseScope, type ScopeSet } from '../../protocol/scope.ts'
import { plain } from './plain-text.ts'

export interface ReadChallenge {
  readonly error: string | undefined
  readonly description: string | undefined
  readonly scopes: ScopeSet | undefined
  readonly resourceMetadata: string | undefined
}

const HEADER_CHARS_MAX = 8_192
const SCHEME = /(?:^|,)\s*(Bearer|DPoP)(?=\s|,|$)/gi
/** One parameter: a token, or a quoted string (RFC 9110 §5.6.4). */
const PARAMETER = /([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/g

/** The challenge that says most: where a server names both schemes, the one with an error. `undefined`: there is none. */
export function readChallenge(header: string | null): ReadChallenge | undefined {
  if (header === null || header.length > HEADER_CHARS_MAX) return undefined
  const starts = [...header.matchAll(SCHEME)]
  const challenges = starts.map((start, index) => {
    const from = start.index + start[0].length
    return parametersOf(header.slice(from, starts[index + 1]?.index))
  })
  return challenges.find(({ error }) => error !== undefined) ?? challenges[0]
}

function parametersOf(text: string): ReadChallenge {
  const found = new Map<string, string>()
  for (const [, name = '', quoted, bare = ''] of text.matchAll(PARAMETER)) {
    const key = name.toLowerCase()
    // The first of its name: a second is somebody's addition.
    if (!found.has(key)) found.set(key, quoted === undefined ? bare : quoted.replace(/\\(.)/g, '$1'))
  }
  const description = found.get('error_description')
  return {
    error: found.get('error'),
    description: description === undefined ? undefined : plain(description),
    scopes: scopesOf(found.get('scope')),
    resourceMetadata: found.get('resource_metadata'),
  }
}

function scopesOf(text: string | undefined): ScopeSet | undefined {
  if (text === undefined || text === '') return undefined
  try {
    return parseScope(text)
  } catch {
    return undefined // not scope tokens: nothing that could be asked for
  }
}
