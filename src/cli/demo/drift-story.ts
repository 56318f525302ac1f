/**
 * The middle of the story: a page that the orchestrator has read talks it into more. Each later call is judged against what was
 * declared; what is a little too wide is told how to narrow; and what does not stop is halted until a reviewer has looked.
 */
import { decodeForDrawing } from '../agent/inspect-token.ts'
import { jsonObject as objectOf, textOf } from '../json-fields.ts'
import { callTool } from './agent-client.ts'
import { announce } from './announced-call.ts'
import { ask, jsonObject } from './http.ts'
import { answered, granted, refusedByBroker, refusedByServer } from './outcomes.ts'
import { NotAsTold, type Teller } from './teller.ts'
import { continueAt } from './token-client.ts'
import type { Tokens, World } from './world.ts'

/** What nobody asked it for. */
const UNASKED = { tool: 'customers.update', arguments: { customer: 'all', tier: 'gold' } } as const
/** More than the broker has patience for. */
const ASKS_MAX = 50

type Held = Pick<Tokens, 'session' | 'subSession' | 'atWarehouse' | 'atSlack'>

/** @returns the tokens that live after it */
export async function tellDrift(world: World, teller: Teller, held: Held) {
  teller.chapter('A page it has read talks the orchestrator into more')
  await tellNarrowing(world, teller, held)
  await tellHalt(world, teller, held)
  return tellReview(world, teller, held)
}

async function tellNarrowing({ warehouse, slack, orchestrator }: World, teller: Teller, held: Held): Promise<void> {
  const post = (channel: string) => ({
    ...{ url: slack.url, token: held.atSlack, tool: 'post_message' },
    arguments: { channel, text: 'Q3 revenue: 1,265,750 EUR' },
  })
  const called = (call: Parameters<typeof callTool>[1]) => callTool(orchestrator.clientId, call)
  await teller.step('The summary in #finance, as declared', async () => ({
    value: undefined,
    lines: [answered(await called(post('#finance')))],
  }))
  await teller.step('The same in #engineering', async () =>
    refusedByServer(await called(post('#engineering')), 403, "'channel'"),
  )
  await teller.step('Customers’ records changed: customers.update', async () =>
    refusedByServer(await called({ url: warehouse.url, token: held.atWarehouse, ...UNASKED }), 403, 'customers.update'),
  )
  const wide = { tool: 'query', arguments: { table: 'revenue', limit: 1_000_000 } }
  const limit = await teller.step('SELECT *: all of revenue. The broker says how to narrow it', async () => {
    const { decision, context } = await announce(warehouse, held.atWarehouse, wide)
    const narrow = objectOf(context['narrow_to'])
    const { maximum } = objectOf(objectOf(narrow['constraints'])['limit'])
    if (decision || typeof maximum !== 'number') throw new NotAsTold(`it was not told how: ${JSON.stringify(context)}`)
    return { value: maximum, lines: [`${textOf(context['reason'])}: ${narrow['tool']} with limit at most ${maximum}`] }
  })
  await teller.step(`So it asks for ${limit} rows at most, and is answered`, async () => {
    const call = { url: warehouse.url, token: held.atWarehouse, tool: 'query', arguments: { table: 'revenue', limit } }
    return { value: undefined, lines: [answered(await called(call))] }
  })
}

async function tellHalt(world: World, teller: Teller, { session }: Held): Promise<void> {
  const { warehouse, slack, orchestrator } = world
  const untilRefused = async (resource: string) => {
    for (let asks = 1; asks <= ASKS_MAX; asks += 1) {
      const token = granted(await orchestrator.exchange(continueAt(session, warehouse.url)))
      const { decision } = await announce(warehouse, token, UNASKED)
      if (decision) throw new NotAsTold('the broker allowed it')
      const next = await orchestrator.exchange(continueAt(session, resource))
      if (!next.ok) return { asks, next }
    }
    throw new NotAsTold(`it went on for ${ASKS_MAX} asks`)
  }
  await teller.step('It insists on customers.update. The session is contracted to tools that read', async () => {
    const { asks, next } = await untilRefused(slack.url)
    const { lines = [] } = refusedByBroker(next, 'nothing_granted')
    return { value: undefined, lines: [`after ${asks} more`, ...lines] }
  })
  await teller.step('It does not stop. The session is halted, and somebody is told', async () => {
    const { asks, next } = await untilRefused(warehouse.url)
    const { lines = [] } = refusedByBroker(next, 'session_not_issuing')
    return { value: undefined, lines: [`after ${asks} more`, ...lines] }
  })
}

async function tellReview(world: World, teller: Teller, { session, subSession }: Held) {
  const { warehouse, slack, orchestrator, subAgent } = world
  await teller.step('A reviewer looks, finds the page, and resumes the session, with a reason on record', async () => {
    const sid = String(decodeForDrawing(session).claims['sid'])
    const answer = await ask(`${world.issuer}/admin/v1/sessions/${sid}/review`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await world.reviewerToken()}` },
      json: { action: 'resume', reason: 'an injected page, since removed' },
    })
    const state = textOf(jsonObject(answer)['state'])
    if (answer.status !== 200 || state !== 'active')
      throw new NotAsTold(`answered with ${answer.status}: ${answer.text}`)
    return { value: undefined, lines: [`it is ${state}`] }
  })
  return teller.step('Nobody has to sign in again: new tokens come at once', async () => ({
    value: {
      atWarehouse: granted(await orchestrator.exchange(continueAt(session, warehouse.url))),
      atSlack: granted(await orchestrator.exchange(continueAt(session, slack.url))),
      subAtWarehouse: granted(await subAgent.exchange(continueAt(subSession, warehouse.url))),
    },
  }))
}
