/**
 * What a server's tools are, as one digest: their names, and of each its definition as the server itself lists it. Whoever has
 * classified them pins it; when the list is another one, nobody has classified that.
 */
import { sha256 } from '../kernel/digest.ts'
import { canonicalJson } from './canonical-json.ts'

/** Of the tools of a resource's entry. What people have said of them (category, scope) is not the server's, and not in it. */
export function manifestDigest(tools: Readonly<Record<string, { readonly definition?: string | undefined }>>): string {
  const listed = Object.entries(tools).map(([name, { definition }]) => [name, definition ?? null] as const)
  return sha256(canonicalJson(listed.sort(([a], [b]) => (a < b ? -1 : 1))))
}

/** Of one tool of an MCP `tools/list`: all that the model and the caller are told of it. `_meta` is for transports. */
export function definitionDigest({ _meta, ...tool }: Readonly<Record<string, unknown>>): string {
  return sha256(canonicalJson(tool))
}
