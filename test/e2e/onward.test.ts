/**
 * A call through three processes (R123, R124, R158, R159, R176): an agent, the MCP server in live mode that it calls, and the API that
 * this one calls in its name, beside a broker of its own. One user and one session stand in every log; the token that comes in never
 * goes out; a server that dies in the middle of a call leaves its attempt on record, with an end that nobody knows.
 */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { type RunningChild, runChild } from '../support/child.ts'
import { freePort } from '../support/free-port.ts'
import type { Claims } from '../support/hops.ts'
import { privateJwk, publicJwk, testKey } from '../support/keys.ts'
import type { OnwardOrder } from '../support/onward-child.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { patient } from '../support/world.ts'

const CHILD = new URL('../support/onward-child.ts', import.meta.url)

let fleet: Fleet
let broker: BrokerProcess
let server: RunningChild
let api: RunningChild
let urls: { readonly issuer: string; readonly warehouse: string; readonly slack: string }
const agents: RunningChild[] = []

beforeAll(async () => {
  const [own, warehouse, slack] = [await freePort(), await freePort(), await freePort()]
  const at = (port: number) => `http://127.0.0.1:${port}`
  urls = { issuer: at(own), warehouse: `${at(warehouse)}/mcp`, slack: `${at(slack)}/api` }
  fleet = await startFleet((directory) => ({
    store: { kind: 'embedded', directory: join(directory, 'store') },
    settings: { issuer: urls.issuer, callOutcomeSeconds: 2 },
    registry,
  }))
  broker = patient(await fleet.start({ port: own }))
  server = run({
    role: 'server',
    ...party('warehouse-server'),
    resource: urls.warehouse,
    next: urls.slack,
    port: warehouse,
  })
  api = run({ role: 'api', ...party('slack-server'), resource: urls.slack, port: slack })
  for (const child of [server, api]) await until(async () => logOf(child).length > 0)
})
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.kill()
})
afterAll(async () => {
  await Promise.all([server?.kill(), api?.kill()])
  await fleet?.close()
})

function registry(document: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const resources = (document['resources'] as readonly Record<string, unknown>[])
    .filter(({ id }) => id === 'warehouse' || id === 'slack')
    .map((resource) =>
      resource['id'] === 'warehouse'
        ? { ...resource, url: urls.warehouse, enforces: 'calls' }
        : { ...resource, url: urls.slack },
    )
  const service = (id: string, more: object) => ({
    client_id: id,
    keys: [{ ...publicJwk(testKey(`${id}-key`)), version: '1' }],
    grant_types: ['client_credentials', 'token-exchange'],
    api_scopes: ['evaluate', 'revocations'],
    ...more,
  })
  const agents = (document['agents'] as readonly Record<string, unknown>[]).map(
    ({ standing_intent: _gone, ...rest }) => rest,
  )
  return {
    ...document,
    agents,
    resources,
    services: [
      service('warehouse-server', { manifest: [{ server: 'slack', tool: 'post_message' }] }),
      service('slack-server', {}),
    ],
  }
}

function party(clientId: string) {
  return { issuer: urls.issuer, clientId, key: privateJwk(testKey(`${clientId}-key`)) }
}

function run(order: OnwardOrder): RunningChild {
  const child = runChild(CHILD, [])
  child.send(JSON.stringify(order))
  return child
}

function call(tool: string): RunningChild {
  const agent = run({
    role: 'agent',
    ...party('orchestrator'),
    resource: urls.warehouse,
    next: urls.slack,
    idToken: broker.idToken(),
    tool,
  })
  agents.push(agent)
  return agent
}

const logOf = (child: RunningChild): readonly Claims[] => child.lines.map((line) => JSON.parse(line))

async function records(): Promise<readonly Claims[]> {
  const answer = await broker.bearer('/admin/v1/audit?limit=100', await fleet.managementToken())
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.records ?? answer.body
}

test('R124 one user and one session are in the log of each of the three, and the API sees user and agent in one line', async () => {
  const agent = call('query')
  await until(async () => logOf(agent).some(({ status, error }) => (status ?? error) !== undefined))
  const [opened, answered] = logOf(agent)
  // 401: the token that the agent had sent, tried at the API by a server that should not.
  expect(answered, JSON.stringify([logOf(agent), logOf(server), logOf(api)])).toMatchObject({
    status: 200,
    answer: expect.stringContaining('posted 401'),
  })
  const who = { 'enduser.id': 'user:corp:alice', 'errand.session': opened['errand.session'] }
  expect(opened).toMatchObject({ ...who, 'agent.id': 'orchestrator' })
  expect(logOf(server)[1]).toMatchObject({ ...who, 'agent.id': 'orchestrator', 'client.id': 'orchestrator' })
  expect(logOf(api).slice(1)).toMatchObject([
    {
      ...who,
      'agent.id': 'orchestrator',
      'client.id': 'warehouse-server',
      'errand.actors': ['service:warehouse-server', 'agent:orchestrator'],
      'errand.origin': 'user_request',
      request: 'req-7731',
      allowed: true,
    },
    { refused: true },
  ])
  // The record of it has all three, too: the call with its end, and the hop to the API.
  await until(async () => (await records()).some(({ call }) => call?.ended === 'success'), PATIENCE_MS, 50)
  const mine = (await records()).filter(({ session }) => session === opened['errand.session'])
  expect(new Set(mine.map(({ on_behalf_of }) => on_behalf_of))).toEqual(new Set(['user:corp:alice']))
  expect(mine.map(({ event }) => event)).toEqual(
    expect.arrayContaining(['session.open', 'call.attempt', 'token.downstream']),
  )
})

test('R158 R159 a server that is killed in the middle of a call leaves the attempt, and its end is unknown', async () => {
  const agent = call('list_tables')
  await until(async () => logOf(server).some(({ hangs }) => hangs === true))
  const [opened] = logOf(agent)
  await server.kill()
  const attempts = async () =>
    (await records()).filter(({ session, call: made }) => session === opened['errand.session'] && made !== undefined)
  expect(await attempts()).toMatchObject([{ event: 'call.attempt', outcome: 'granted', detail: 'call list_tables' }])
  await until(async () => (await attempts()).some(({ call: made }) => made.ended === 'unknown'), PATIENCE_MS, 100)
  expect((await attempts()).filter(({ call: made }) => made.ended === 'unknown')).toHaveLength(1)
})
