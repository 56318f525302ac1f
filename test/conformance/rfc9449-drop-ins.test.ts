/**
 * Bound tokens at real MCP servers behind the drop-ins (RFC 9449 §7, §9): tokens from a real broker, proofs by hand, and the header
 * fields as they are sent.
 */
import { createHash } from 'node:crypto'
import { request as httpRequest, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createVerifier, type VerifierOptions } from '../../src/sdk/verify/verifier.ts'
import { athOf, holderKey, proof, proving } from '../support/dpop.ts'
import { KINDS, listening, READ, TOOLS } from '../support/guarded-servers.ts'
import { granted } from '../support/hops.ts'
import { startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

const key = holderKey()
const CALL = {
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'query', arguments: { table: 'revenue', limit: 1 } },
}
const BODY = JSON.stringify(CALL)

let world: World
let bound: string
const servers: Server[] = []
beforeAll(async () => {
  world = await startWorld({ realClock: true })
  const params = { requested_token_type: TYPE.access, resource: WAREHOUSE }
  bound = (await granted(world.open(params, proving(world, key)))).token
})
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
  await world?.close()
})

const made = (claims: object = {}, by = key) =>
  proof(world, by, { claims: { htu: WAREHOUSE, ath: athOf(bound), ...claims } })

async function start({ listener }: (typeof KINDS)[number], proofs: VerifierOptions['proofs'] = {}): Promise<string> {
  const door = async ({ url }: { url: string }) => (await world.broker.app.request(new URL(url).pathname)).text()
  const verifier = createVerifier({ issuer: world.issuer, resource: WAREHOUSE, door, proofs })
  const { server, resource } = await listening()
  servers.push(server)
  server.on('request', listener({ verifier, tools: TOOLS, baseScope: READ, dpopNonce: () => 'the-nonce' }))
  return resource
}

/** With the `DPoP` fields as they are. */
function post(url: string, authorization: string, proofs: readonly string[] = []) {
  const headers = { authorization, 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  return new Promise<{ status: number | undefined; challenge: string; nonce: unknown }>((resolve, reject) => {
    const sent = httpRequest(url, { method: 'POST', headers }, (response) => {
      response.resume()
      const { 'www-authenticate': challenge = '', 'dpop-nonce': nonce } = response.headers
      resolve({ status: response.statusCode, challenge: String(challenge), nonce })
    })
    if (proofs.length > 0) sent.setHeader('dpop', proofs)
    sent.on('error', reject).end(BODY)
  })
}

describe.each(KINDS.filter(({ pieces }) => pieces === false))('a warehouse of the kind $name', (kind) => {
  test('takes a bound token with the proof of its key, once, and by no other scheme', async () => {
    const url = await start(kind)
    const one = made()
    expect((await post(url, `DPoP ${bound}`, [one])).status).toBe(200)
    for (const [scheme, proofs] of [
      ['DPoP', [one]],
      ['DPoP', [made(), made()]],
      ['DPoP', []],
      ['DPoP', [made({}, holderKey('other'))]],
      ['DPoP', [made({ htm: 'GET' })]],
      ['Bearer', [made()]],
      ['Bearer', []],
    ] as const) {
      const { status, challenge } = await post(url, `${scheme} ${bound}`, proofs)
      expect([status, challenge.split(' ')[0]], `${scheme} with ${proofs.length}`).toEqual([401, scheme])
    }
  })

  test('§9 asks for the nonce it gives', async () => {
    const url = await start(kind, { isGoodNonce: (nonce) => nonce === 'the-nonce' })
    const asked = await post(url, `DPoP ${bound}`, [made()])
    expect([asked.status, asked.nonce]).toEqual([401, 'the-nonce'])
    expect(asked.challenge).toContain('error="use_dpop_nonce"')
    expect((await post(url, `DPoP ${bound}`, [made({ nonce: asked.nonce })])).status).toBe(200)
  })

  test('a proof that names the body is checked against the bytes; where somebody in front has read them, it is refused', async () => {
    const url = await start(kind, { contentDigest: true })
    const digest = (text: string) => `sha-256=:${createHash('sha256').update(text).digest('base64')}:`
    const good = await post(url, `DPoP ${bound}`, [made({ content_digest: digest(BODY) })])
    expect(good.status).toBe(kind.name === 'express-v1' ? 401 : 200)
    const other = await post(url, `DPoP ${bound}`, [made({ content_digest: digest('{}') })])
    expect(other.status).toBe(401)
  })
})

describe.each(KINDS.filter(({ pieces }) => pieces !== false))('a warehouse of the kind $name', (kind) => {
  test('§7.2 whose SDK knows no proofs takes no bound token', async () => {
    const url = await start(kind)
    for (const scheme of ['DPoP', 'Bearer']) {
      expect((await post(url, `${scheme} ${bound}`, [made()])).status).toBe(401)
    }
  })
})
