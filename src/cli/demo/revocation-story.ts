/** The end of the story: alice revokes, and it is measured how long anything of the session still lived. */
import { decodeForDrawing } from '../agent/inspect-token.ts'
import { jsonObject as objectOf } from '../json-fields.ts'
import { printable } from '../terminal.ts'
import { callTool } from './agent-client.ts'
import { ask, jsonObject } from './http.ts'
import { wholeIntent } from './intents.ts'
import { refusedByBroker } from './outcomes.ts'
import { NotAsTold, type Teller } from './teller.ts'
import { continueAt, openWith } from './token-client.ts'
import type { Tokens, World } from './world.ts'

/** DESIGN: a tree is killed in under a second. */
const DEAD_WITHIN_MS = 1000
const PATIENCE_MS = 5000

interface Probe {
  readonly what: string
  /** True once it is refused. */
  isDead(): Promise<boolean>
}

export async function tellRevocation(world: World, teller: Teller, tokens: Tokens, portal: string): Promise<void> {
  const probes = allProbes(world, tokens)
  teller.chapter('Alice changes her mind, and calls it all back')
  await teller.step(`Until now all of it lives: ${probes.length} ways of using it work`, async () => {
    const dead = await Promise.all(probes.map((probe) => probe.isDead()))
    const early = probes.filter((_probe, index) => dead[index])
    if (early.length > 0) throw new NotAsTold(`already refused: ${early.map(({ what }) => what).join(', ')}`)
    return { value: undefined }
  })
  const userToken = await teller.step('She signs in at the broker’s portal', async () => ({
    value: await world.login(portal),
  }))
  await teller.step('She revokes the session. Every token of it, at every hop, is dead', async () => {
    const start = world.stopwatch()
    const died = await revoke(world, tokens.session, userToken)
    const acknowledgedMs = world.stopwatch() - start
    const deaths = await Promise.all(probes.map((probe) => untilDead(world, probe, start)))
    deaths.sort((a, b) => a.ms - b.ms)
    const lastMs = deaths.at(-1)?.ms ?? Number.POSITIVE_INFINITY
    if (lastMs > DEAD_WITHIN_MS) throw new NotAsTold(`the last of them lived for ${Math.round(lastMs)} ms`)
    const told = deaths.map(({ what, ms }) => `${milliseconds(ms)}  ${what}`)
    const acknowledged = `${milliseconds(acknowledgedMs)}  the broker acknowledges. Dead: ${died}`
    const summary = `${milliseconds(lastMs)}  after her request, nothing of it works any more`
    return { value: undefined, lines: [acknowledged, ...told, summary] }
  })
  await teller.step('The orchestrator opens a new session with the same ID token, and is refused', async () =>
    refusedByBroker(
      await world.orchestrator.exchange(openWith(tokens.idToken, wholeIntent(world))),
      'evidence_blocked',
    ),
  )
}

/** @returns what the broker says has died */
async function revoke(world: World, sessionToken: string, userToken: string): Promise<string> {
  const session = String(decodeForDrawing(sessionToken).claims['sid'])
  const answer = await ask(`${world.issuer}/sessions/${session}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${userToken}` },
  })
  if (answer.status !== 200) throw new NotAsTold(`revoking was answered with ${answer.status}: ${answer.text}`)
  return hopWords(objectOf(jsonObject(answer)['revoked'])['hops'])
}

function hopWords(hops: unknown): string {
  if (!Array.isArray(hops) || hops.length === 0) throw new NotAsTold('the broker does not say what has died')
  return hops
    .map(objectOf)
    .map(({ agent, tokens }) => printable(`${agent} with ${tokens} ${tokens === 1 ? 'token' : 'tokens'}`))
    .join(', ')
}

function allProbes(world: World, tokens: Tokens): readonly Probe[] {
  const { warehouse, slack, orchestrator, subAgent } = world
  const rows = { url: warehouse.url, tool: 'query', arguments: { table: 'revenue', limit: 1 } }
  const post = { url: slack.url, tool: 'post_message', arguments: { channel: '#finance', text: 'still here' } }
  const isRefused = async (agent: string, call: Parameters<typeof callTool>[1]) => {
    const outcome = await callTool(agent, call)
    return !outcome.ok && outcome.status === 401
  }
  return [
    {
      what: `the warehouse refuses ${subAgent.clientId}`,
      isDead: () => isRefused(subAgent.clientId, { ...rows, token: tokens.subAtWarehouse }),
    },
    {
      what: `the warehouse refuses ${orchestrator.clientId}`,
      isDead: () => isRefused(orchestrator.clientId, { ...rows, token: tokens.atWarehouse }),
    },
    {
      what: `Slack refuses ${orchestrator.clientId}`,
      isDead: () => isRefused(orchestrator.clientId, { ...post, token: tokens.atSlack }),
    },
    ...introspectionProbes(world, tokens),
    {
      what: `the broker gives ${orchestrator.clientId} no more tokens`,
      isDead: async () => !(await orchestrator.exchange(continueAt(tokens.session, warehouse.url))).ok,
    },
    {
      what: `the broker gives ${subAgent.clientId} no more tokens`,
      isDead: async () => !(await subAgent.exchange(continueAt(tokens.subSession, warehouse.url))).ok,
    },
  ]
}

function introspectionProbes({ warehouse, slack, orchestrator, subAgent }: World, tokens: Tokens): readonly Probe[] {
  const probe = (what: string, asking: typeof warehouse, token: string): Probe => ({
    what: `/introspect calls ${what} inactive`,
    isDead: async () => !(await asking.own.isActive(token)),
  })
  return [
    probe(`${subAgent.clientId}’s token`, warehouse, tokens.subAtWarehouse),
    probe(`${orchestrator.clientId}’s token for the warehouse`, warehouse, tokens.atWarehouse),
    probe(`${orchestrator.clientId}’s token for Slack`, slack, tokens.atSlack),
  ]
}

function milliseconds(ms: number): string {
  return `${Math.round(ms).toString().padStart(4)} ms`
}

/** @throws NotAsTold when it is still used after `PATIENCE_MS`. */
async function untilDead(world: World, probe: Probe, start: number): Promise<{ what: string; ms: number }> {
  while (world.stopwatch() - start < PATIENCE_MS) {
    if (await probe.isDead()) return { what: probe.what, ms: world.stopwatch() - start }
  }
  throw new NotAsTold(`after ${PATIENCE_MS} ms it is still not so that ${probe.what}`)
}
