/** What the architecture page says, as titles and sentences: how it is drawn is another's matter. */

import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { shortVersion } from '../policy/publication-drawing.ts'
import { plural } from '../terminal.ts'

export interface Page {
  readonly title: string
  readonly facts: string
  readonly sections: readonly Section[]
}

export interface Section {
  readonly title: string
  readonly entries: readonly Entry[]
}

export interface Entry {
  readonly name: string
  readonly says: string
  /** What, and its text. */
  readonly rows: readonly (readonly [string, string])[]
}

const NAMES_SHOWN_MAX = 12

export function architecturePage(answer: JsonObject): Page {
  const of = (name: string) => arrayOf(answer[name]).map(jsonObject)
  const tokens = jsonObject(answer['tokens'])
  const [servers, agents] = [of('servers'), of('agents')]
  return {
    title: `Architecture of ${text(answer, 'issuer')}`,
    facts: [
      `environment ${text(answer, 'environment')}`,
      `policy ${shortVersion(answer['policy'])}`,
      `access tokens live ${numberIn(tokens['access_token_seconds'])} s, sessions ${numberIn(tokens['session_seconds'])} s, chains of ${numberIn(tokens['max_chain_depth'])} at most`,
      text(answer, 'at'),
    ].join('; '),
    sections: [
      { title: 'Who authorised this?', entries: [recordEntry(jsonObject(answer['record']))] },
      { title: `MCP servers (${servers.length})`, entries: servers.map(serverEntry) },
      { title: `Agents (${agents.length})`, entries: agents.map(agentEntry) },
      { title: 'Whose identity flows through', entries: of('identities').map(identityEntry) },
    ],
  }
}

function recordEntry(record: JsonObject): Entry {
  const [oldest, since] = [text(record, 'oldest'), text(record, 'complete_since')]
  const boxes = numberIn(record['outboxes'])
  const each = boxes === 1 ? 'the outbox takes' : `each of ${boxes} outboxes takes`
  return {
    name: since === '' ? 'nothing recorded yet' : `yes, for everything since ${since}`,
    says: '',
    rows: [
      ['kept', `${plural(numberIn(record['kept']), 'record')}${oldest === '' ? '' : `, the oldest of ${oldest}`}`],
      ...(numberIn(record['pruned']) > 0
        ? [['pruned', `${plural(numberIn(record['pruned']), 'older record')}: their proofs are still there`] as const]
        : []),
      ['until', `${each} up to ${numberIn(record['outbox_limit'])}; full, it refuses what it could not record`],
      ['look with', 'errand audit, or GET /admin/v1/audit'],
      ['each says', 'who asked, for whom, for what intent, which layers and grants allowed it, by which credential'],
    ],
  }
}

function serverEntry(server: JsonObject): Entry {
  const isOurs = text(server, 'tokens_by') === 'errand'
  const bound = text(server, 'sender_constraint') === 'required' ? 'tokens bound to a key' : 'bearer or bound tokens'
  const issued = isOurs
    ? `${bound}, ${numberIn(server['token_seconds'])} s`
    : `tokens of ${text(server, 'tokens_by')}, for an ID-JAG of this broker`
  const asks = text(server, 'server_client')
  return {
    name: text(server, 'id'),
    says: text(server, 'url'),
    rows: [
      ['owner', `${ownerOf(server)}; project ${text(server, 'project')}`],
      ['is', [text(server, 'state'), text(server, 'exposure'), text(server, 'mode'), certified(server)].join(', ')],
      ['holds', scopesOf(server)],
      [
        'enforces',
        `${text(server, 'enforces')}; ${issued}; ${asks === '' ? 'cannot introspect' : `introspects as ${asks}`}`,
      ],
      ...(isOurs ? [['revoked', revokedRow(server)] as const] : []),
      ['agents', names(server['agents'], 'none reaches it')],
      ['granted to', names(server['granted_to'], 'nobody: no grant allows a user anything here')],
      ['identity', names(server['identity_flows'], 'none')],
    ],
  }
}

function revokedRow(server: JsonObject): string {
  const check = text(server, 'revocation_check')
  const how = check === 'offline' ? 'asks nobody' : check === 'feed' ? 'follows the feed' : 'introspects each token'
  return `${how}: believes a revoked token for ${numberIn(server['revoked_believed_seconds'])} s at most`
}

function scopesOf(server: JsonObject): string {
  const scopes = arrayOf(server['scopes']).map((one) => {
    const { scope, tools, for_agents: forAgents } = jsonObject(one)
    const counts = Object.entries(jsonObject(tools)).map(([category, count]) => `${numberIn(count)} ${category}`)
    const isClosed = numberIn(forAgents) === 0
    return `${textOf(scope)} (${counts.join(', ')}${isClosed ? ', not for agents' : ''})`
  })
  return scopes.length === 0 ? 'no tools' : scopes.join(', ')
}

function agentEntry(agent: JsonObject): Entry {
  const credentials = Object.entries(jsonObject(agent['credentials'])).map(
    ([kind, count]) => `${kind}${numberIn(count) === 1 ? '' : ` ×${numberIn(count)}`}`,
  )
  return {
    name: text(agent, 'id'),
    says: [text(agent, 'state'), text(agent, 'environment'), certified(agent)].join(', '),
    rows: [
      ['owner', ownerOf(agent)],
      ['works for', names(agent['identity_flows'], worksFor(agent))],
      ['proves by', credentials.length === 0 ? 'nothing: it cannot authenticate' : credentials.join(', ')],
      ['work comes from', names(agent['works_on_from'], 'no other agent')],
      ['passes on to', names(agent['passes_on_to'], 'nobody')],
    ],
  }
}

/** One that has no users of its own works for those of whoever passes on to it. */
function worksFor(agent: JsonObject): string {
  const from = names(agent['works_on_from'], '')
  return from === '' ? 'nobody' : `whomever ${from} may work for`
}

function identityEntry(source: JsonObject): Entry {
  const listed = source['users'] === undefined ? '' : ` (${numberIn(source['users'])} listed)`
  return {
    name: text(source, 'name'),
    says: text(source, 'at'),
    rows: [
      ['vouches for', `${text(source, 'vouches_for')}${listed}`],
      ['accepted', names(source['accepts'], 'nothing of it')],
    ],
  }
}

const STANDINGS: Readonly<Record<string, string>> = {
  active: '',
  left: ' (HAS LEFT)',
  unverified: ' (a name only)',
}

function ownerOf(object: JsonObject): string {
  return `${text(object, 'owner')}${STANDINGS[text(object, 'owner_standing')] ?? ''}`
}

function certified(object: JsonObject): string {
  const until = text(object, 'certified_until')
  return until === '' ? 'not certified' : `certified until ${until.slice(0, 10)}`
}

function names(list: unknown, none: string): string {
  const all = arrayOf(list).map((name) => textOf(name) ?? '')
  if (all.length === 0) return none
  const shown = all.slice(0, NAMES_SHOWN_MAX).join(', ')
  return all.length > NAMES_SHOWN_MAX ? `${shown} and ${all.length - NAMES_SHOWN_MAX} more` : shown
}

function text(object: JsonObject, member: string): string {
  return textOf(object[member]) ?? ''
}
