/**
 * Live mode in every drop-in (R063, R158, R159): a real server of each kind asks a real broker before each call, keeps to its budget
 * however many servers and processes there are, and tells it how the call ended.
 */
import type { Server } from 'node:http'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accessFor, askingWarehouse } from '../support/calls.ts'
import { KINDS, listening, READ, TOOLS } from '../support/guarded-servers.ts'
import { type Claims, details, granted, intent, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type ServerSide, serverSide } from '../support/server-side.ts'
import { startWorld, WAREHOUSE, type World } from '../support/world.ts'

let idp: TestIssuer
let world: World
let here: ServerSide
const servers: Server[] = []
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: askingWarehouse(idp), realClock: true })
  here = serverSide(world)
})
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
  await here?.broker.close()
  await world?.close()
  await idp?.close()
})

async function recordsOf(sid: string): Promise<readonly Claims[]> {
  const records = (await world.audit(200)).filter(({ event }) => event === 'call.attempt' || event === 'call.outcome')
  return records.filter(({ session }) => session?.id === sid || session === sid).reverse()
}

describe.each(KINDS)('a warehouse of the kind $name', ({ listener, pieces }) => {
  test('asks before each call, is held to three, and tells how each ended', async () => {
    const { server, resource } = await listening()
    servers.push(server)
    server.on('request', listener({ verifier: here.verifier, tools: TOOLS, baseScope: READ, judge: here.broker.judge }))
    const query = { table: { enum: ['revenue', 'costs'] } }
    const asked = tools(WAREHOUSE, { query }, { limits: { maxCalls: 3 } })
    const session = await granted(world.open({ authorization_details: details(intent(), asked) }))
    const token = await accessFor(world, session.token)
    const client = new Client({ name: 'orchestrator', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } })
    const transport = new StreamableHTTPClientTransport(new URL(resource), {
      authProvider: { token: async () => token },
    })
    await client.connect(transport)
    const call = (table: string) => client.callTool({ name: 'query', arguments: { table } })
    // A tool that answers `isError` of `costs` has failed.
    const answers = [await call('revenue'), await call('costs'), await call('revenue')]
    expect(answers.map(({ isError = false }) => isError)).toEqual([false, true, false])
    expect(JSON.stringify(answers[0])).toContain('for user:corp:alice')
    const fourth = await call('revenue').catch((error: unknown) => error)
    if (pieces === 'v2') expect(JSON.stringify(fourth)).toContain('outside_intent')
    else expect(fourth).toMatchObject({ status: 403 })
    await client.close()
    const { sid } = session.claims
    await expect.poll(() => here.broker.outcomes.pending).toBe(0)
    const records = await recordsOf(sid)
    const ends = records.flatMap(({ call: one }) => (one?.ended === undefined ? [] : [one.ended]))
    expect(ends.sort(), JSON.stringify(records)).toEqual(['failure', 'success', 'success'])
  })
})
