/**
 * What a thief tries with a bound session (RFC 9449 §2, §11): its token and its client's own credential without the key, the
 * proofs of others, a way round by delegating, a second header that another reader would see first.
 */
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listen } from '../../src/http/listener.ts'
import { athOf, holderKey, jktOf, proof, proving } from '../support/dpop.ts'
import { details, granted, intent, openDeep, tools } from '../support/hops.ts'
import { expectRefused, invalidRequest } from '../support/refusal.ts'
import { startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const own = holderKey('own')
const sub = holderKey('sub')
const deep = holderKey('deep')
const thief = holderKey('thief')
const UNPROVEN = invalidRequest('subject_token_unproven')
const BAD_PROOF = { status: 400, error: 'invalid_dpop_proof', reason: 'dpop_proof_invalid' } as const

describe('laundering by delegating', () => {
  test('three hops down a bound session, nobody gets a bearer token, nor one by another’s key', async () => {
    const [first, ...rest] = JSON.parse(OPENING)
    const asked = { authorization_details: details({ ...first, max_depth: 2 }, ...rest) }
    const root = await granted(world.open(asked, proving(world, own)))
    const narrower = { query: { table: { const: 'revenue' }, limit: { maximum: 100 } } }
    const passed = { authorization_details: details(intent({ max_depth: 1 }), tools(WAREHOUSE, narrower)) }
    const toSub = await granted(world.delegate(root.token, passed, 'orchestrator', proving(world, own)))

    // As a session, as an access token at once, and with what the delegator has proven before.
    const asAccess = { requested_token_type: TYPE.access, resource: WAREHOUSE }
    for (const params of [{}, asAccess]) await expectRefused(world, () => world.accept(toSub.token, params), UNPROVEN)
    const researcher = await granted(world.accept(toSub.token, {}, 'researcher', proving(world, sub)))
    expect(researcher.claims.cnf).toEqual({ jkt: jktOf(sub) })
    for (const key of [own, thief]) {
      const attempt = () => world.continue(researcher.token, {}, 'researcher', proving(world, key))
      await expectRefused(world, attempt, UNPROVEN)
    }

    const least = { query: { table: { const: 'revenue' }, limit: { maximum: 10 } } }
    const onward = { audience: 'scribe', authorization_details: details(intent(), tools(WAREHOUSE, least)) }
    await expectRefused(world, () => world.delegate(researcher.token, onward, 'researcher'), UNPROVEN)
    const toScribe = await granted(world.delegate(researcher.token, onward, 'researcher', proving(world, sub)))
    await expectRefused(world, () => world.accept(toScribe.token, {}, 'scribe'), UNPROVEN)
    const access = await granted(world.accept(toScribe.token, asAccess, 'scribe', proving(world, deep)))
    expect([access.claims.cnf, access.body.token_type]).toEqual([{ jkt: jktOf(deep) }, 'DPoP'])
  })

  test('a delegator that shows its key for an unbound session binds what comes after', async () => {
    const { token } = await openDeep(world)
    const offered = await granted(world.delegate(token, {}, 'orchestrator', proving(world, own)))
    await expectRefused(world, () => world.accept(offered.token), UNPROVEN)
  })
})

const OPENING = JSON.stringify([
  { type: 'agent_intent', purpose: 'Summarise Q3 revenue' },
  {
    type: 'mcp_tools',
    locations: [WAREHOUSE],
    tools: { query: { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } }, list_tables: {} },
  },
])

describe('a stolen session token, and the client’s own key with it', () => {
  test('opens nothing without the session’s key', async () => {
    const { token } = await granted(world.open({}, proving(world, own)))
    for (const headers of [() => ({}), () => proving(world, thief)]) {
      await expectRefused(world, () => world.continue(token, {}, 'orchestrator', headers()), UNPROVEN)
      await expectRefused(world, () => world.delegate(token, {}, 'orchestrator', headers()), UNPROVEN)
    }
  })

  test('nor with proofs that its holder made for others: another endpoint, a server, another method', async () => {
    const { token } = await granted(world.open({}, proving(world, own)))
    const elsewhere = [
      { htu: WAREHOUSE, ath: athOf(token) },
      { htu: `${world.issuer}/sessions`, htm: 'GET' },
      { htu: `${world.issuer}/revoke` },
      { htu: 'https://errand.example/token' },
    ]
    for (const claims of elsewhere) {
      const headers = proving(world, own, { claims })
      await expectRefused(world, () => world.continue(token, {}, 'orchestrator', headers), BAD_PROOF)
    }
  })

  test('a refused thief uses up nothing of its holder’s', async () => {
    const { token } = await granted(world.open({}, proving(world, own)))
    const claims = { jti: 'the-next-of-its-holder' }
    const stolen = () => world.continue(token, {}, 'orchestrator', proving(world, thief, { claims }))
    await expectRefused(world, stolen, UNPROVEN)
    await granted(world.continue(token, {}, 'orchestrator', proving(world, own, { claims })))
  })
})

test('#87 two headers on a real socket are refused, whichever of them is good', async () => {
  const { port, stop } = await listen(world.broker, { host: '127.0.0.1', port: 0 })
  try {
    for (const headers of [
      [proof(world, own), 'x'],
      ['x', proof(world, own)],
      [proof(world, own), proof(world, thief)],
    ]) {
      const body = new URLSearchParams({
        grant_type: 'client_credentials',
        resource: `${world.issuer}/api`,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: world.assertion('orchestrator'),
      }).toString()
      const answer = await new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
        const sent = request({ port, host: '127.0.0.1', path: '/token', method: 'POST' }, (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (part: string) => {
            text += part
          })
          response.once('end', () => resolve({ status: response.statusCode, text }))
        })
        sent.once('error', reject)
        sent.setHeader('Content-Type', 'application/x-www-form-urlencoded')
        sent.setHeader('DPoP', headers)
        sent.end(body)
      })
      expect([answer.status, JSON.parse(answer.text).error]).toEqual([400, 'invalid_dpop_proof'])
    }
  } finally {
    await stop()
  }
})
