/**
 * `errand demo`: starts everything on free loopback ports with temporary directories, tells the story, stops everything.
 * Exit code 0 only if every step came out as told.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signJwt } from '../../jose/sign-jwt.ts'
import { systemClock } from '../../kernel/clock.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
import type { Introspection } from '../../sdk/verify/verifier.ts'
import { stylesFor } from '../terminal.ts'
import { startBroker } from './broker.ts'
import { type ClientKey, newClientKey } from './client-key.ts'
import { type DemoCast, type DemoServer, demoPolicy, ORCHESTRATOR_APP, USER_PORTAL } from './demo-policy.ts'
import { type IdentityProvider, startIdentityProvider } from './identity-provider.ts'
import { listenOnLoopback, stopServer } from './loopback.ts'
import { serveMcp } from './mcp-server.ts'
import { slackTools, warehouseTools } from './mcp-tools.ts'
import { tellStory } from './story.ts'
import { NotAsTold, Teller } from './teller.ts'
import { connectTokenClient } from './token-client.ts'
import type { World } from './world.ts'

/** @returns the exit code */
export async function runDemo(write = (text: string): void => void process.stdout.write(text)): Promise<number> {
  const teller = new Teller({
    write,
    styles: stylesFor(process.stdout),
    stopwatch: () => performance.now(),
  })
  const stops: (() => Promise<unknown>)[] = []
  try {
    const world = await startWorld(stops)
    introduce(world, teller)
    await tellStory(world, teller, USER_PORTAL, ORCHESTRATOR_APP)
    teller.end(true)
    return 0
  } catch (error) {
    if (!(error instanceof NotAsTold))
      write(`The demo could not start: ${error instanceof Error ? error.message : 'fault'}\n`)
    teller.end(false)
    return 1
  } finally {
    for (const stop of stops.reverse()) await stop()
  }
}

function introduce({ issuer, identityProvider, warehouse, slack }: World, teller: Teller): void {
  teller.title('Errand: the story of one errand, played on this machine for real', [
    `broker             ${issuer} (embedded store)`,
    `identity provider  ${identityProvider} (oidc-provider)`,
    `warehouse          ${warehouse.url} (MCP SDK 2)`,
    `Slack              ${slack.url} (MCP SDK 1)`,
  ])
}

/** Addresses first, because each is written in another's configuration; then everything that answers on them. */
async function startWorld(stops: (() => Promise<unknown>)[]): Promise<World> {
  const listen = async (): Promise<{ server: Server; origin: string }> => {
    const server = createServer()
    stops.push(() => stopServer(server))
    return { server, origin: await listenOnLoopback(server) }
  }
  const [broker, warehouseSocket, slackSocket] = [await listen(), await listen(), await listen()]
  const identityProvider = await startIdentityProvider([ORCHESTRATOR_APP, USER_PORTAL], systemClock)
  stops.push(identityProvider.stop)
  const cast: DemoCast = {
    identityProvider,
    orchestrator: newClientKey('report-orchestrator'),
    subAgent: newClientKey('revenue-reader'),
    warehouse: demoServer('warehouse', warehouseSocket.origin, warehouseTools()),
    slack: demoServer('slack', slackSocket.origin, slackTools()),
  }
  const running = await startBroker(broker, await demoDirectory(stops), demoPolicy(cast))
  stops.push(running.stop)
  serveMcp(warehouseSocket.server, mcpOptions(cast.warehouse, 'v2', broker.origin))
  serveMcp(slackSocket.server, mcpOptions(cast.slack, 'v1', broker.origin))
  return { ...(await connectWorld(cast, identityProvider, broker.origin)), reviewerToken: running.reviewerToken }
}

function demoServer(id: string, origin: string, tools: DemoServer['tools']): DemoServer {
  return { id, url: `${origin}/mcp`, key: newClientKey(`${id}-server`), tools }
}

async function demoDirectory(stops: (() => Promise<unknown>)[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'errand-demo-'))
  stops.push(() => rm(directory, { recursive: true, force: true }))
  return directory
}

function mcpOptions({ id, url, key, tools }: DemoServer, sdk: 'v1' | 'v2', issuer: string) {
  const [first] = tools
  return {
    name: id,
    sdk,
    issuer,
    resource: url,
    tools,
    baseScope: first?.scope ?? '',
    introspection: introspectionBy(key),
  }
}

function introspectionBy(key: ClientKey): Introspection {
  return { clientId: key.clientId, sign: (claims) => signJwt(key, JWT_TYP.clientAuthentication, claims) }
}

async function connectWorld(cast: DemoCast, identityProvider: IdentityProvider, issuer: string) {
  const evaluation = `${issuer}/access/v1/evaluation`
  const connect = (key: ClientKey) => connectTokenClient(issuer, key)
  return {
    issuer,
    identityProvider: identityProvider.issuer,
    login: identityProvider.login,
    orchestrator: await connect(cast.orchestrator),
    subAgent: await connect(cast.subAgent),
    warehouse: { url: cast.warehouse.url, own: await connect(cast.warehouse.key), evaluation },
    slack: { url: cast.slack.url, own: await connect(cast.slack.key), evaluation },
    stopwatch: () => performance.now(),
  }
}
