/**
 * The external PDP as a layer of every decision (DESIGN §6): asked in one batch, it can only take away; whatever is not exactly
 * an allowance refuses. Against a real TLS server that lies, hangs, redirects and floods.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { EXTERNAL_ANSWER_BYTES_MAX } from '../../src/kernel/outbound-limits.ts'
import { json, startPdp, type TestPdp } from '../support/external-pdp.ts'
import { details, granted, intent, kill, tools } from '../support/hops.ts'
import { expectRefused, invalidScope, type Refusal } from '../support/refusal.ts'
import { INTENT, startWorld, WAREHOUSE, type World } from '../support/world.ts'

let pdp: TestPdp
let world: World
beforeAll(async () => {
  pdp = await startPdp(400)
  world = await startWorld({ config: { externalPdp: pdp.pdp } })
})
afterEach(() => {
  pdp.decide(() => true)
  pdp.misbehave(undefined)
  pdp.bodies.length = 0
})
afterAll(async () => {
  await world.close()
  await pdp.close()
})

const UNAVAILABLE: Refusal = {
  status: 503,
  error: 'temporarily_unavailable',
  reason: 'external_policy_unavailable',
}

describe('AuthZEN 1.0 §7: the external PDP is asked before a decision', () => {
  it('in one batch per exchange, about every tool, naming who asks for whom', async () => {
    await granted(world.open())
    expect(pdp.bodies).toHaveLength(1)
    const [body] = pdp.bodies
    expect(body?.options).toEqual({ evaluations_semantic: 'execute_all' })
    expect(body?.evaluations.map(({ resource }) => resource.id).sort()).toEqual([
      'list_tables',
      'post_message',
      'query',
    ])
    expect(body?.evaluations.find(({ resource }) => resource.id === 'query')).toEqual({
      subject: { type: 'identity', id: 'user:corp:alice' },
      action: { name: 'tools/call' },
      resource: {
        type: 'tool',
        id: 'query',
        properties: {
          server: WAREHOUSE,
          constraints: { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } },
        },
      },
      context: {
        agent: 'orchestrator',
        chain: [],
        environment: 'development',
        decision_id: expect.stringMatching(/^dec_/),
      },
    })
  })

  it('again at every exchange: nothing it once allowed is remembered', async () => {
    const { token } = await granted(world.open())
    await granted(world.continue(token))
    pdp.decide(() => false)
    await expectRefused(world, () => world.continue(token), invalidScope('nothing_granted'))
    expect(pdp.bodies).toHaveLength(3)
  })
})

describe('it only takes away', () => {
  it('one tool of several: the others are granted, the record names the layer', async () => {
    pdp.decide(({ resource }) => resource.id !== 'query')
    const { token } = await granted(world.open())
    const { claims } = await granted(world.continue(token))
    expect(claims.authorization_details[0].tools).toEqual({ list_tables: {} })
    const [record] = await world.audit(1)
    expect(record.layers.external).toBe('allowed')
    expect((await world.audit(2))[1].missing).toEqual(['query at warehouse: the external policy does not allow it'])
  })

  it('what the registry refuses, it cannot give', async () => {
    const asked = details(intent(), tools(WAREHOUSE, { drop_table: {} }))
    const { record } = await expectRefused(
      world,
      () => world.open({ authorization_details: asked }),
      invalidScope('nothing_granted'),
    )
    expect(record.layers).toMatchObject({ tool: 'implicit_deny', external: 'allowed' })
  })

  it.each([
    ['obligations', { decision: true, context: { obligations: [{ type: 'step-up', id: '1', acr_value: 'loa3' }] } }],
    ['obligations in no proper form', { decision: true, context: { obligations: { type: 'notification' } } }],
    ['a context in no proper form', { decision: true, context: 'fine' }],
  ])('an allowance with %s, which nobody here complies with, is none', async (_what, member) => {
    pdp.decide(() => member)
    await expectRefused(world, () => world.open(), invalidScope('nothing_granted'))
  })

  it('an allowance without any obligation is one', async () => {
    pdp.decide(() => ({ decision: true, context: { obligations: [], reason: 'fine' } }))
    await granted(world.open())
  })
})

const three = (member: unknown) => ({ evaluations: [member, { decision: true }, { decision: true }] })

describe('whatever is no proper answer allows nothing (AuthZEN 1.0 §12)', () => {
  it.each([
    ['a decision of another type', json(three({ decision: 'true' }))],
    ['the number 1', json(three({ decision: 1 }))],
    ['null', json(three({ decision: null }))],
    ['no decision', json(three({ context: {} }))],
    ['an array', json([{ decision: true }])],
    ['a single decision for all', json({ decision: true })],
    ['one decision too few', json({ evaluations: [{ decision: true }, { decision: true }] })],
    ['one decision too many', json({ evaluations: Array.from({ length: 4 }, () => ({ decision: true })) })],
    ['a decision that is named twice', json('{"evaluations":[{"decision":false,"decision":true}]}')],
    ['half a document', json('{"evaluations":[{"decision":true},{"decis')],
    ['nothing', json('')],
    ['status 201', json({ evaluations: INTENT.map(() => ({ decision: true })) }, 201)],
    ['status 500', json({ evaluations: INTENT.map(() => ({ decision: true })) }, 500)],
    ['status 403', json({ evaluations: INTENT.map(() => ({ decision: true })) }, 403)],
    ['more than there is room for', json(`{"evaluations":["${'x'.repeat(EXTERNAL_ANSWER_BYTES_MAX)}"]}`)],
  ])('%s', async (_what, answer) => {
    pdp.misbehave(answer)
    await expectRefused(world, () => world.open(), UNAVAILABLE)
  })

  it('another media type', async () => {
    pdp.misbehave((_request, response) =>
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end(JSON.stringify({ evaluations: INTENT.map(() => ({ decision: true })) })),
    )
    await expectRefused(world, () => world.open(), UNAVAILABLE)
  })

  it.each([301, 302, 307, 308])('a %i to a place that would allow it: it is not followed', async (status) => {
    const other = await startPdp()
    try {
      pdp.misbehave((_request, response) => response.writeHead(status, { location: other.pdp.url }).end())
      await expectRefused(world, () => world.open(), UNAVAILABLE)
      expect(other.bodies).toEqual([])
    } finally {
      await other.close()
    }
  })

  it('silence, and a slow drip: one deadline covers both', async () => {
    pdp.misbehave(() => undefined)
    await expectRefused(world, () => world.open(), UNAVAILABLE)
    pdp.misbehave((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const drip = setInterval(() => response.write(' '), 50)
      response.on('close', () => clearInterval(drip))
    })
    await expectRefused(world, () => world.open(), UNAVAILABLE)
  })

  it('nobody at all', async () => {
    const gone = await startPdp()
    await gone.close()
    const lonely = await startWorld({ config: { externalPdp: { ...gone.pdp, credentialFile: undefined } } })
    try {
      await expectRefused(lonely, () => lonely.open(), UNAVAILABLE)
    } finally {
      await lonely.close()
    }
  })

  it('a server with a certificate of another authority', async () => {
    const other = await startPdp()
    const wrong = await startWorld({ config: { externalPdp: { ...pdp.pdp, caFile: other.pdp.caFile } } })
    try {
      await expectRefused(wrong, () => wrong.open(), UNAVAILABLE)
      expect(pdp.bodies).toEqual([])
    } finally {
      await wrong.close()
      await other.close()
    }
  })
})

it('whoever is blocked while it is asked is refused', async () => {
  let block: Promise<unknown> | undefined
  pdp.misbehave((_request, response) => {
    block = kill(world, { dimension: 'agent', agent: 'orchestrator', block: true })
    void block.then(() =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ evaluations: Array.from({ length: 3 }, () => ({ decision: true })) })),
    )
  })
  const answer = await world.open()
  await block
  expect(answer.body.error_reason).toBe('principal_blocked')
})
