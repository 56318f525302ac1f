/** A scan as people read it: each tool with its category and why, then what has changed since it was pinned. */
import { textOf } from '../json-fields.ts'
import type { Styles } from '../terminal.ts'
import { plural } from '../terminal.ts'
import { isWorse } from './proposal.ts'
import type { Registered } from './registered.ts'
import type { ScannedServer, ScannedTool } from './scanned-entry.ts'
import { hiddenIn, shown } from './shown-text.ts'
import type { Drift } from './tool-drift.ts'

export interface Scan extends ScannedServer {
  /** Of MCP, as the server speaks it. */
  readonly protocol: string
  /** Names that no tool may have: what is called so cannot be registered. */
  readonly leftOut: readonly string[]
  readonly digest: string
  /** The entry it was compared with. */
  readonly registered: Registered | undefined
  readonly drift: readonly Drift[]
}

const DESCRIPTION_CHARS = 160
const NAME_CHARS = 160

export function drawScan(scan: Scan, isAsPinned: boolean, styles: Styles): readonly string[] {
  const { bold, dim, good, bad } = styles
  const { url, protocol, tools, leftOut, registered, drift, digest } = scan
  const state =
    registered === undefined
      ? []
      : [
          `${isAsPinned ? good('as pinned') : bad(registered.pinned === undefined ? 'not pinned' : 'not as pinned')}  ${shown(registered.id)}`,
        ]
  return [
    `${bold(shown(url))}  ${plural(tools.length, 'tool')} ${dim(`MCP ${protocol}`)}`,
    ...tools.flatMap((tool) => drawTool(tool, registered, styles)),
    ...leftOut.map((name) => `${bad('left out')}  ${shown(name, NAME_CHARS)}: no tool may be named so`),
    ...drift.map((one) => drawDrift(one, styles)),
    ...state,
    `  ${dim('manifest_digest')}  ${digest}`,
  ]
}

function drawTool({ name, listed, proposal, chosen }: ScannedTool, registered: Registered | undefined, styles: Styles) {
  const { bold, dim, bad } = styles
  const category = chosen ?? proposal.category
  const description = typeof listed['description'] === 'string' ? listed['description'] : ''
  const unseen = hiddenIn(listed).map((point) => `U+${point.toUpperCase().padStart(4, '0')}`)
  const is = textOf(registered?.tools[name]?.category)
  const seemsWorse = (is === 'read' || is === 'write' || is === 'destructive') && isWorse(proposal.category, is)
  return [
    `  ${bold(shown(name))}  ${category === 'read' || category === 'write' ? category : bad(category)}  ${dim(`mcp:tools:${category}`)}`,
    `      ${dim(chosen === undefined ? proposal.because.join('; ') : 'as you say')}`,
    ...(description === '' ? [] : [`      ${dim(shown(description, DESCRIPTION_CHARS))}`]),
    ...(unseen.length === 0 ? [] : [`      ${bad('hides')} ${unseen.slice(0, 8).join(' ')}`]),
    ...(seemsWorse ? [`      ${bad(`registered as ${is}`)}, and looks worse`] : []),
  ]
}

function drawDrift({ tool, change, parts, isPrivilegeChange }: Drift, { bold, bad, dim }: Styles): string {
  const what = parts === undefined ? '' : `: ${parts.map((part) => shown(part, NAME_CHARS)).join(', ')}`
  const unknown =
    change === 'changed' && parts === undefined ? dim(' (what it was is not kept beside the registry)') : ''
  const privilege = isPrivilegeChange ? `  ${bad('a change of privilege: it says now that it does less harm')}` : ''
  return `${bold(change)}  ${shown(tool, NAME_CHARS)}${what}${unknown}${privilege}`
}
