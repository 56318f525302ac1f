/**
 * The story of one errand, told as it happens and over HTTP only: a user asks, an agent opens a session for exactly that,
 * passes a smaller part on, the sub-agent stays within it because it must, and the user calls all of it back.
 */
import { authorityTree, authorityWords } from '../agent/inspect-authority.ts'
import { decodeForDrawing } from '../agent/inspect-token.ts'
import { drawTree } from '../terminal.ts'
import { callTool } from './agent-client.ts'
import { tellDrift } from './drift-story.ts'
import { narrowerIntent, PURPOSE, wholeIntent } from './intents.ts'
import { answered, granted, refusedByBroker, refusedByServer } from './outcomes.ts'
import { tellRevocation } from './revocation-story.ts'
import type { Teller } from './teller.ts'
import { accept, continueAt, delegateTo, openWith } from './token-client.ts'
import type { Tokens, World } from './world.ts'

/** @throws NotAsTold at the first step that comes out otherwise. */
export async function tellStory(world: World, teller: Teller, portal: string, application: string): Promise<void> {
  const { idToken, session } = await tellOpening(world, teller, application)
  const first = await tellFirstCalls(world, teller, session)
  const sub = await tellDelegation(world, teller, session)
  await tellBounds(world, teller, sub)
  const resumed = await tellDrift(world, teller, { session, ...first, ...sub })
  await tellRevocation(world, teller, { idToken, session, ...sub, ...resumed }, portal)
}

async function tellOpening(world: World, teller: Teller, application: string) {
  teller.chapter(`Alice asks her assistant: "${PURPOSE}"`)
  const idToken = await teller.step('She signs in at her company’s identity provider', async () => ({
    value: await world.login(application),
  }))
  const session = await teller.step(
    'The orchestrator opens a session: this purpose, these tools, 15 minutes',
    async () => {
      const value = granted(await world.orchestrator.exchange(openWith(idToken, wholeIntent(world))))
      return { value, lines: authorityLines(value) }
    },
  )
  return { idToken, session }
}

async function tellFirstCalls(world: World, teller: Teller, session: string) {
  const { warehouse, slack, orchestrator } = world
  teller.chapter('It works within that')
  const atWarehouse = await teller.step('It gets a token for the warehouse alone, good for minutes', async () => ({
    value: granted(await orchestrator.exchange(continueAt(session, warehouse.url))),
  }))
  await teller.step('It looks at what there is: query, table costs', async () => {
    const call = { url: warehouse.url, token: atWarehouse, tool: 'query', arguments: { table: 'costs', limit: 50 } }
    return { value: undefined, lines: [answered(await callTool(orchestrator.clientId, call))] }
  })
  const atSlack = await teller.step(
    'It gets another token for Slack, and says in #finance that work has begun',
    async () => {
      const token = granted(await orchestrator.exchange(continueAt(session, slack.url)))
      const args = { channel: '#finance', text: 'Q3 numbers are coming' }
      const call = { url: slack.url, token, tool: 'post_message', arguments: args }
      return { value: token, lines: [answered(await callTool(orchestrator.clientId, call))] }
    },
  )
  return { atWarehouse, atSlack }
}

async function tellDelegation(world: World, teller: Teller, session: string) {
  const { warehouse, orchestrator, subAgent } = world
  teller.chapter('It passes a part of the work on, with less authority than its own')
  const delegation = await teller.step(
    `The orchestrator delegates to ${subAgent.clientId}: one table, ten rows, no Slack`,
    async () => {
      const asked = delegateTo(session, subAgent.clientId, narrowerIntent(world))
      return { value: granted(await orchestrator.exchange(asked)) }
    },
  )
  const subSession = await teller.step(
    `${subAgent.clientId} accepts, proving who it is with its own key`,
    async () => ({
      value: granted(await subAgent.exchange(accept(delegation))),
    }),
  )
  const subAtWarehouse = await teller.step(
    'It gets its own token for the warehouse. Who acts for whom is written in it:',
    async () => {
      const value = granted(await subAgent.exchange(continueAt(subSession, warehouse.url)))
      return { value, lines: ['', ...chainLines(session, value), ''] }
    },
  )
  await teller.step('It calls its one tool: query, table revenue', async () => {
    const call = { url: warehouse.url, token: subAtWarehouse, tool: 'query', arguments: { table: 'revenue', limit: 3 } }
    return { value: undefined, lines: [answered(await callTool(subAgent.clientId, call))] }
  })
  return { subSession, subAtWarehouse }
}

async function tellBounds(world: World, teller: Teller, sub: Pick<Tokens, 'subSession' | 'subAtWarehouse'>) {
  const { warehouse, slack, subAgent } = world
  const attempt = (url: string, tool: string, args: Readonly<Record<string, unknown>>) =>
    callTool(subAgent.clientId, { url, token: sub.subAtWarehouse, tool, arguments: args })
  teller.chapter('A prompt talks the sub-agent into more. It tries, and is refused')
  await teller.step('A tool that its scope would open, but its intent does not contain: list_tables', async () =>
    refusedByServer(await attempt(warehouse.url, 'list_tables', {}), 403, 'list_tables'),
  )
  await teller.step('A tool that needs another scope: drop_table', async () =>
    refusedByServer(await attempt(warehouse.url, 'drop_table', { table: 'revenue' }), 403, 'mcp:tools:destructive'),
  )
  await teller.step('An argument outside its intent: table salaries', async () =>
    refusedByServer(await attempt(warehouse.url, 'query', { table: 'salaries', limit: 3 }), 403, "'table'"),
  )
  await teller.step('An argument that its delegator may use, but it may not: 500 rows', async () =>
    refusedByServer(await attempt(warehouse.url, 'query', { table: 'revenue', limit: 500 }), 403, "'limit'"),
  )
  await teller.step('A server outside its intent: Slack, with the token it has', async () =>
    refusedByServer(
      await attempt(slack.url, 'post_message', { channel: '#finance', text: 'hi' }),
      401,
      'another resource',
    ),
  )
  await teller.step('The same, with a token made for Slack, which it asks the broker for', async () =>
    refusedByBroker(await subAgent.exchange(continueAt(sub.subSession, slack.url)), 'resource_not_in_session'),
  )
}

function authorityLines(token: string): readonly string[] {
  return drawTree(authorityTree(authorityWords(decodeForDrawing(token).claims)))
}

/** The decoded chain, each hop with what it may: the session's root first, then what became of it. */
function chainLines(rootSession: string, leaf: string): readonly string[] {
  const [subject = 'nobody', root = 'nobody', delegate = 'nobody'] = decodeForDrawing(leaf).chain
  const may = (token: string) => authorityTree(authorityWords(decodeForDrawing(token).claims))
  const delegated = { label: `${delegate}, who may`, children: may(leaf) }
  return [subject, ...drawTree([{ label: `${root}, who may`, children: [...may(rootSession), delegated] }])]
}
