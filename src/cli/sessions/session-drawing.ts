/** Sessions for people: a list, and one session as the tree of who holds what from whom. */
import { DETAILS_TYPE } from '../../protocol/oauth.ts'
import { authorityTree, authorityWords } from '../agent/inspect-authority.ts'
import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { type Branch, drawTree, durationWords, plural, type Styles, time } from '../terminal.ts'

export function drawSessions(sessions: readonly unknown[], now: number, styles: Styles): string {
  if (sessions.length === 0) return 'no sessions\n'
  return sessions.map((session) => `${headline(jsonObject(session), now, styles).join('\n')}\n`).join('\n')
}

export function drawSession(session: JsonObject, now: number, styles: Styles): string {
  const nodes = arrayOf(session['tree']).map(jsonObject)
  const ids = new Set(nodes.map((node) => node['node']))
  // A participant sees its own part only: whatever hangs from something unseen is a root here.
  const roots = nodes.filter((node) => !ids.has(node['parent']))
  const drawing = { nodes, now, session: textOf(session['state']) ?? 'unknown', styles }
  return [
    ...headline(session, now, styles),
    '',
    ...drawTree(roots.map((node) => branch(node, drawing))).map((line) => `  ${line}`),
    '',
  ].join('\n')
}

const ISSUING: readonly string[] = ['active', 'contracted']

function headline(session: JsonObject, now: number, styles: Styles): string[] {
  const state = textOf(session['state']) ?? 'unknown'
  const issues = ISSUING.includes(state)
  const left = numberIn(session['not_after']) - now
  const life = issues ? `, ${durationWords(left)} left` : ''
  const subject = textOf(session['on_behalf_of']) ?? 'nobody'
  const agent = textOf(session['agent']) ?? 'nobody'
  // Autonomous work is on behalf of the agent itself.
  const who = subject === `agent:${agent}` ? `${subject}, by itself` : `${agent} for ${subject}`
  return [
    `${styles.bold(textOf(session['session']) ?? '')}  ${(issues ? styles.good : styles.bad)(state)}${life}`,
    `  ${who}: ${textOf(session['purpose']) ?? ''}`,
    styles.dim(
      `  opened ${time(session['opened_at'])}; ${plural(numberIn(session['nodes']), 'hop')}, ${plural(numberIn(session['tokens']), 'access token')} issued${callWords(session)}${driftWords(session)}`,
    ),
  ]
}

interface Drawing {
  readonly nodes: readonly JsonObject[]
  readonly now: number
  /** The session's own state. */
  readonly session: string
  readonly styles: Styles
}

/** A hop lives no longer than its session, whatever is recorded of the hop itself. */
function hopState(node: JsonObject, { session, now }: Drawing): string {
  const own = textOf(node['state']) ?? 'unknown'
  if (own !== 'live' && own !== 'pending') return own
  if (!ISSUING.includes(session)) return session
  return numberIn(node['not_after']) <= now ? 'expired' : own
}

function branch(node: JsonObject, drawing: Drawing): Branch {
  const { nodes, styles } = drawing
  const state = hopState(node, drawing)
  const words = state === 'live' ? styles.good(state) : styles.bad(state === 'pending' ? 'not accepted yet' : state)
  const facts = `${plural(numberIn(node['tokens']), 'access token')}${callWords(node)}, ${textOf(node['origin']) ?? 'unknown origin'}`
  const below = nodes.filter((other) => other['parent'] === node['node'])
  return {
    label: `${styles.bold(textOf(node['agent']) ?? 'unnamed')}  ${words}  ${facts}  ${styles.dim(textOf(node['node']) ?? '')}`,
    children: [
      { label: `“${textOf(node['purpose']) ?? ''}”` },
      ...authorityTree(authorityOf(node['authority'])),
      ...below.map((child) => branch(child, drawing)),
    ],
  }
}

/** Counted by servers in live mode alone: where there are none, nothing is said. */
function callWords({ calls }: JsonObject): string {
  return !(numberIn(calls) > 0) ? '' : `, ${plural(numberIn(calls), 'call')} permitted`
}

/** The stored form said as a token would say it. */
function authorityOf(value: unknown) {
  const resources = Object.entries(jsonObject(jsonObject(value)['resources']))
  const scopes = new Set(resources.flatMap(([, resource]) => arrayOf(jsonObject(resource)['scopes'])))
  return authorityWords({
    scope: [...scopes].join(' '),
    authorization_details: resources.map(([url, resource]) => ({
      type: DETAILS_TYPE.tools,
      locations: [url],
      tools: jsonObject(resource)['tools'],
      limits: jsonObject(resource)['limits'],
    })),
  })
}

/** What brings a session before a reviewer. */
function driftWords({ drift }: JsonObject): string {
  return !(numberIn(drift) > 0) ? '' : `, ${plural(numberIn(drift), 'ask')} outside its intent`
}
