/** What a revocation killed, hop by hop. */
import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { plural, type Styles, time } from '../terminal.ts'

interface Hop {
  readonly session: string
  readonly words: string
  readonly node: string
  readonly depth: number
  readonly tokens: number
}

export interface Killed {
  /** The headline's beginning: "session revoked". */
  readonly what: string
  /** The hops live on: only access tokens issued from them died. */
  readonly tokensOnly: boolean
  /** The tokens live on, too: calls of one tool by them are refused. */
  readonly living?: boolean
  /** What else there is to know about this kind of revocation. */
  readonly note?: string | undefined
}

export function drawKill(
  answer: JsonObject,
  { what, tokensOnly, living = false, note }: Killed,
  styles: Styles,
): string {
  const isDryRun = answer['would_revoke'] !== undefined
  const revoked = jsonObject(answer['revoked'] ?? answer['would_revoke'])
  const hops = arrayOf(revoked['hops']).map(hopOf)
  const sessions = [...new Set(hops.map(({ session }) => session))]
  const ended = new Set(arrayOf(revoked['sessions']).flatMap((id) => textOf(id) ?? []))
  const { hops: allHops, tokens } = countsOf(revoked, hops)
  const counts = `${tokensOnly ? '' : `${plural(allHops, 'hop')}, `}${plural(tokens, 'access token')}`
  const headline = isDryRun ? `dry run, nothing was done: ${styles.bad(what)}` : styles.bad(what)
  const lines = [`${headline}: ${hops.length === 0 ? 'nothing that is listed was alive' : counts}`]
  for (const id of sessions) {
    lines.push(`  session ${id}${ended.has(id) ? '' : styles.dim('  (the session itself lives)')}`)
    const own = hops.filter(({ session }) => session === id)
    const top = Math.min(...own.map(({ depth }) => depth))
    for (const { depth, words, tokens: issued, node } of own) {
      const branch = `${'   '.repeat(depth - top)}└─ ${words}`
      lines.push(`    ${branch}  ${plural(issued, 'access token')}  ${styles.dim(node)}`)
    }
  }
  const unreached = arrayOf(revoked['unreached']).flatMap((id) => textOf(id) ?? [])
  if (unreached.length > 0) {
    lines.push(
      `  ${styles.bad('not marked yet')}, dead all the same: ${unreached.join(', ')}; the same command again marks them`,
    )
  }
  lines.push(...beyondReport(revoked, styles))
  const audit = answer['audit'] === 'deferred' ? 'audit deferred: the store is slow or down' : 'audit recorded'
  const inForce =
    hops.length === 0 || living ? 'in force at every broker' : 'every broker refuses these tokens from now on'
  const end = isDryRun
    ? `the same without --dry-run does it (${audit})`
    : `${inForce} (sequence ${numberIn(revoked['seq'])}, ${audit})`
  lines.push(...[end, ...(note === undefined ? [] : [note])].map((line) => styles.dim(`  ${line}`)), '')
  return lines.join('\n')
}

/** Of all hops, named in the report or not. */
function countsOf(revoked: JsonObject, hops: readonly Hop[]): { readonly hops: number; readonly tokens: number } {
  const counts = jsonObject(revoked['counts'])
  const tokens = hops.reduce((sum, hop) => sum + hop.tokens, 0)
  return { hops: numberIn(counts['hops']) || hops.length, tokens: numberIn(counts['tokens']) || tokens }
}

/** What the report does not name, and what the revocation does not reach. */
function beyondReport(revoked: JsonObject, styles: Styles): readonly string[] {
  const { sessions, of } = jsonObject(revoked['looked_at'])
  const looked = of === undefined ? '' : `: ${numberIn(sessions)} of ${numberIn(of)} sessions were looked at`
  const offline = arrayOf(revoked['offline']).map(jsonObject)
  return [
    ...(revoked['truncated'] === true ? [`  more died than is listed here${looked}`] : []),
    ...offline.map(({ resource, until }) => {
      const why =
        until === null ? 'takes tokens of another authorization server' : `believes its tokens until ${time(until)}`
      return `  ${styles.bad('hears nothing of it')}: ${textOf(resource) ?? 'a resource'} ${why}`
    }),
  ]
}

function hopOf(value: unknown): Hop {
  const hop = jsonObject(value)
  const agent = textOf(hop['agent']) ?? 'unnamed'
  return {
    session: textOf(hop['session']) ?? 'unnamed',
    words: hop['pending'] === true ? `${agent} (had not accepted yet)` : agent,
    node: textOf(hop['node']) ?? '',
    depth: numberIn(hop['depth']) || 0,
    tokens: numberIn(hop['tokens']) || 0,
  }
}
