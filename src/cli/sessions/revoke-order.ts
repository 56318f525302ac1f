/** What `errand revoke` is told to revoke: exactly one thing, as the admin API names it. A kill must not guess. */
import type { KillOrder } from '../../revocation/kill-order.ts'
import type { Args } from '../args.ts'
import { UsageError } from '../failures.ts'
import { userId } from '../operator.ts'
import type { OptionSpecs } from '../options.ts'

type Unsaid<O> = O extends unknown ? Omit<O, 'dry_run'> : never
export type RevokeOrder = Unsaid<KillOrder>

export const REVOKE_OPTIONS: OptionSpecs = {
  session: { value: 'SESSION', help: 'this session: every hop and every token of it' },
  node: { value: 'NODE', help: 'with --session: this hop and all below it' },
  'access-of': { value: 'SESSION', help: 'the access tokens of this session, which itself lives on' },
  agent: { value: 'CLIENT', help: 'everything this agent holds or has passed on' },
  'agent-version': { value: 'CLIENT@VERSION', help: 'the same of one version of an agent' },
  owner: { value: 'OWNER', help: 'the same of every agent that this owner has now' },
  user: { value: 'USER', help: 'everything on behalf of this user: user:<issuer slug>:<sub>' },
  'on-behalf': { value: 'USER', help: 'with --by: what one agent does for one user' },
  by: { value: 'CLIENT', help: 'with --on-behalf: the agent' },
  issuer: { value: 'SLUG', help: 'everything on behalf of the users of this issuer' },
  resource: { value: 'SERVER', help: 'the access tokens for this server (id or URL); sessions live on' },
  tool: { value: 'TOOL', help: 'with --resource: only calls of this tool by tokens that are out now' },
  key: { value: 'KID', help: 'everything this signing key signed (errand keys kill KID)' },
  everything: { help: 'every token there is, whoever holds it; people sign in anew' },
  block: { help: 'and let nothing new begin until it is lifted' },
  'dry-run': { help: 'say what would die, and change nothing' },
}

const SELECTORS = [
  ...(['session', 'access-of', 'agent', 'agent-version', 'owner', 'user', 'on-behalf', 'issuer'] as const),
  ...(['resource', 'key', 'everything'] as const),
] as const
type Selector = (typeof SELECTORS)[number]

/** What goes with one of them only. */
const COMPANIONS: Readonly<Record<string, Selector>> = { node: 'session', by: 'on-behalf', tool: 'resource' }
const BLOCKABLE: readonly Selector[] = ['agent', 'agent-version', 'owner', 'user', 'on-behalf', 'issuer', 'resource']

/** @throws UsageError */
export function revokeOrderOf(args: Args): RevokeOrder {
  const chosen = SELECTORS.filter((name) => args.flag(name))
  const [selector] = chosen
  for (const [name, goesWith] of Object.entries(COMPANIONS)) {
    if (args.flag(name) && !chosen.includes(goesWith)) throw new UsageError(`--${name} goes with --${goesWith}`)
  }
  if (selector === undefined || chosen.length > 1) {
    const named = chosen.length > 1 ? chosen : SELECTORS
    throw new UsageError(`say what to revoke with exactly one of ${named.map((name) => `--${name}`).join(', ')}`)
  }
  const block = args.flag('block')
  if (block && (!BLOCKABLE.includes(selector) || args.flag('tool'))) {
    throw new UsageError(`--block goes with ${BLOCKABLE.map((name) => `--${name}`).join(', ')}, and not with --tool`)
  }
  return selector === 'everything' ? { dimension: 'everything' } : orderFor(selector, args.require(selector), args)
}

function orderFor(selector: Exclude<Selector, 'everything'>, id: string, args: Args): RevokeOrder {
  const block = args.flag('block')
  switch (selector) {
    case 'session': {
      const node = args.text('node')
      return node === undefined ? { dimension: 'session', session: id } : { dimension: 'node', session: id, node }
    }
    case 'access-of':
      return { dimension: 'session_access', session: id }
    case 'agent':
      return { dimension: 'agent', agent: id, block }
    case 'agent-version':
      return { dimension: 'agent_version', ...versioned(id), block }
    case 'owner':
      return { dimension: 'owner', owner: id, block }
    case 'user':
      return { dimension: 'user', user: userId(id), block }
    case 'on-behalf':
      return { dimension: 'user_agent', user: userId(id), agent: args.require('by'), block }
    case 'issuer':
      return { dimension: 'issuer', issuer: id, block }
    case 'key':
      return { dimension: 'key', kid: id }
    case 'resource': {
      const tool = args.text('tool')
      return tool === undefined
        ? { dimension: 'resource', resource: id, block }
        : { dimension: 'tool', resource: id, tool }
    }
  }
}

/** A version has no `@` in it; a client id that is a URL may. @throws UsageError */
export function versioned(text: string): { readonly agent: string; readonly version: string } {
  const at = text.lastIndexOf('@')
  const [agent, version] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)]
  if (agent === '' || version === '') throw new UsageError(`${text} is not written <client id>@<version>`)
  return { agent, version }
}
