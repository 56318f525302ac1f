/**
 * X.509-SVIDs as client authentication (RFC 8705 §2.1, SPIFFE X509-SVID, draft-ietf-oauth-spiffe-client-auth §3.2), by real TLS
 * handshakes with the broker's own listener.
 */
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { NAME, PURPOSES, type Shape, selfSigned, TestAuthority } from '../support/authorities.ts'
import { kill } from '../support/hops.ts'
import { expectRefused, invalidClient, invalidRequest } from '../support/refusal.ts'
import {
  ORCHESTRATOR,
  RESEARCHER,
  type SvidWorld,
  shown,
  startSvidWorld,
  WAREHOUSE_SERVER,
} from '../support/svid-world.ts'
import { type Answer, type Params, WIKI } from '../support/world.ts'

let svids: SvidWorld
beforeAll(async () => {
  svids = await startSvidWorld()
})
afterAll(() => svids.close())
beforeEach(() => {
  svids.identity = undefined
})

const ask = (clientId: string | undefined, more: Params = {}): Promise<Answer> =>
  svids.world.post('/token', { grant_type: 'client_credentials', resource: WIKI, client_id: clientId, ...more })

const svid = async (shape: Shape = {}) => shown(await svids.root.issue({ uris: [ORCHESTRATOR], ...shape }))

const refused = (reason: RejectionReason, request: () => Promise<Answer>) =>
  expectRefused(svids.world, request, { ...invalidClient(reason), source: '127.0.0.1' })

describe('a workload with an X.509-SVID', () => {
  test.each([
    ['its SPIFFE ID', ORCHESTRATOR],
    ['its registered id', 'orchestrator'],
  ])('#20 is its client, named by %s', async (_, clientId) => {
    const own = await svids.root.issue({ uris: [ORCHESTRATOR] })
    svids.identity = shown(own)
    const { status, body } = await ask(clientId)
    expect(status, JSON.stringify(body)).toBe(200)
    const [record] = await svids.world.audit(1)
    expect(record.agent).toEqual({ id: 'orchestrator', version: '7' })
    expect(record.client_auth).toEqual({ method: 'spiffe_x509', credential: ORCHESTRATOR, certificate: own.thumbprint })
  })

  test('comes with the intermediates that lead to its trust domain, on every connection anew', async () => {
    const upper = await svids.root.intermediate()
    const lower = await upper.intermediate()
    const own = await lower.issue({ uris: [ORCHESTRATOR] })
    for (const through of [
      [lower, upper],
      [upper, lower],
    ]) {
      svids.identity = shown(own, ...through)
      expect((await ask('orchestrator')).status).toBe(200)
      expect((await ask('orchestrator')).status).toBe(200)
    }
    svids.identity = shown(own, lower)
    await refused('client_certificate_untrusted', () => ask('orchestrator'))
  })

  test('may introspect and revoke with it, too', async () => {
    svids.identity = await svid()
    const token = (await ask('orchestrator')).body.access_token
    svids.identity = shown(await svids.root.issue({ uris: [WAREHOUSE_SERVER] }))
    expect((await svids.world.post('/introspect', { client_id: 'warehouse-server', token })).status).toBe(200)
    svids.identity = await svid()
    expect((await svids.world.post('/revoke', { client_id: 'orchestrator', token })).status).toBe(200)
  })

  test('may use another method on that connection: a mesh shows certificates for everybody', async () => {
    svids.identity = await svid()
    const answer = await svids.world.clientCredentials('researcher', {
      resource: `${svids.world.issuer}/api`,
      scope: 'sessions',
    })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    const [record] = await svids.world.audit(1)
    expect(record.client_auth).toMatchObject({ method: 'private_key_jwt' })
  })

  test('is followed through a rotation of the authorities, within seconds', async () => {
    const next = await TestAuthority.root()
    const [before, after] = [await svid(), shown(await next.issue({ uris: [ORCHESTRATOR] }))]
    svids.identity = after
    await refused('client_certificate_untrusted', () => ask('orchestrator'))
    svids.publish(svids.root, next)
    await expect.poll(async () => (await ask('orchestrator')).status).toBe(200)
    svids.identity = before
    expect((await ask('orchestrator')).status).toBe(200)
    svids.publish(next)
    await expect.poll(async () => (await ask('orchestrator')).status).toBe(401)
    svids.publish(svids.root)
    await expect.poll(async () => (await ask('orchestrator')).status).toBe(200)
  })
})

describe('#20 client_id', () => {
  test.each([
    ['is not sent', undefined],
    ['is another client', 'researcher'],
    ['is another workload', RESEARCHER],
    ['is nobody', 'nobody'],
    ['is the trust domain', 'spiffe://example.org'],
    ['differs in case', ORCHESTRATOR.toUpperCase()],
  ])('%s: refused', async (_, clientId) => {
    svids.identity = await svid()
    await refused('client_certificate_client_id', () => ask(clientId))
  })

  test('alone, without a certificate, is no authentication', async () => {
    await refused('client_authentication_missing', () => ask(ORCHESTRATOR))
  })
})

describe('#20 a certificate that is no X.509-SVID of a registered workload', () => {
  const shapes: readonly (readonly [string, RejectionReason, Shape])[] = [
    ['two URIs', 'client_certificate_unacceptable', { uris: [ORCHESTRATOR, RESEARCHER] }],
    ['the same URI twice', 'client_certificate_unacceptable', { uris: [ORCHESTRATOR, ORCHESTRATOR] }],
    ['no URI', 'client_certificate_unacceptable', { uris: [], dns: ['orchestrator.example.org'] }],
    ['no names at all', 'client_certificate_unacceptable', { uris: [] }],
    ['a URI that is no SPIFFE ID', 'client_certificate_unacceptable', { uris: ['https://example.org/agent'] }],
    ['the trust domain’s own ID', 'client_certificate_unacceptable', { uris: ['spiffe://example.org'] }],
    [
      'a SPIFFE ID in another spelling',
      'client_certificate_unacceptable',
      { uris: ['spiffe://example.org/ns//agent'] },
    ],
    ['an authority', 'client_certificate_unacceptable', { ca: true }],
    ['keyCertSign', 'client_certificate_unacceptable', { usages: ['digitalSignature', 'keyCertSign'] }],
    ['cRLSign', 'client_certificate_unacceptable', { usages: ['digitalSignature', 'cRLSign'] }],
    ['no digitalSignature', 'client_certificate_unacceptable', { usages: ['keyEncipherment'] }],
    ['no keyUsage', 'client_certificate_unacceptable', { usages: null }],
    ['a keyUsage that is not critical', 'client_certificate_unacceptable', { usagesCritical: false }],
    ['an extended key usage for servers alone', 'client_certificate_unacceptable', { purposes: [PURPOSES.server] }],
    [
      'an unknown critical extension',
      'client_certificate_unacceptable',
      { extra: [{ oid: '1.3.6.1.4.1.99999.1', critical: true }] },
    ],
    ['a time that is over', 'client_certificate_expired', { until: -0.5 }],
    ['a time that has not begun', 'client_certificate_expired', { from: 1 }],
    [
      'a trust domain that is not configured',
      'client_certificate_untrusted',
      { uris: ['spiffe://other.org/ns/agents/sa/orchestrator'] },
    ],
    ['a workload that is not registered', 'client_unknown', { uris: ['spiffe://example.org/stranger'] }],
  ]
  test.each(shapes)('%s: %s', async (_, reason, shape) => {
    svids.identity = await svid(shape)
    await refused(reason, () => ask('orchestrator'))
  })

  test('an authority that the trust domain does not list vouches for nobody, not even with the right names', async () => {
    const other = await TestAuthority.root({ subject: svids.root.subject, uris: ['spiffe://example.org'] })
    svids.identity = shown(await other.issue({ uris: [ORCHESTRATOR] }), other)
    await refused('client_certificate_untrusted', () => ask('orchestrator'))
    svids.identity = shown(await selfSigned({ uris: [ORCHESTRATOR] }))
    await refused('client_certificate_untrusted', () => ask('orchestrator'))
  })

  test('name constraints of the authority hold for the trust domain', async () => {
    const bound = await svids.root.intermediate({ constraints: { permitted: [[NAME.uri, 'other.org']] } })
    svids.identity = shown(await bound.issue({ uris: [ORCHESTRATOR] }), bound)
    await refused('client_certificate_unacceptable', () => ask('orchestrator'))
  })

  test('more certificates than a path has are refused unread', async () => {
    svids.identity = shown(await svids.root.issue({ uris: [ORCHESTRATOR] }), ...Array(8).fill(svids.root))
    await refused('client_certificate_malformed', () => ask('orchestrator'))
  })

  describe('though the runtime trusts its authority', () => {
    const before = getCACertificates('default')
    afterEach(() => setDefaultCACertificates(before))

    test('#20 a chain that is valid in the system trust store alone is not valid here', async () => {
      const world = await TestAuthority.root({ subject: 'CN=Public authority' })
      setDefaultCACertificates([...before, world.certificate])
      const own = await startSvidWorld()
      try {
        own.identity = shown(await world.issue({ uris: [ORCHESTRATOR] }))
        const request = () =>
          own.world.post('/token', { grant_type: 'client_credentials', resource: WIKI, client_id: 'orchestrator' })
        await expectRefused(own.world, request, {
          ...invalidClient('client_certificate_untrusted'),
          source: '127.0.0.1',
        })
      } finally {
        await own.close()
      }
    })
  })
})

describe('what governs every client governs this one', () => {
  test('a blocked agent and a suspended one are refused, with the certificate in the record', async () => {
    const own = await startSvidWorld({
      registry: (document) => ({
        ...document,
        agents: (document['agents'] as Record<string, unknown>[]).map((agent) =>
          agent['client_id'] === 'researcher' ? { ...agent, state: 'suspended' } : agent,
        ),
      }),
    })
    try {
      const leaf = await own.root.issue({ uris: [RESEARCHER] })
      own.identity = shown(leaf)
      const request = () =>
        own.world.post('/token', { grant_type: 'client_credentials', resource: WIKI, client_id: 'researcher' })
      const { record } = await expectRefused(own.world, request, invalidRequest('agent_inactive'))
      expect(record.client_auth).toMatchObject({ method: 'spiffe_x509', certificate: leaf.thumbprint })
      own.identity = shown(await own.root.issue({ uris: [ORCHESTRATOR] }))
      const asOrchestrator = () =>
        own.world.post('/token', { grant_type: 'client_credentials', resource: WIKI, client_id: 'orchestrator' })
      expect((await asOrchestrator()).status).toBe(200)
      await kill(own.world, { dimension: 'agent', agent: 'orchestrator', block: true })
      await expectRefused(own.world, asOrchestrator, invalidRequest('principal_blocked'))
    } finally {
      await own.close()
    }
  })

  test('failures are counted against their source, whatever certificates they vary', async () => {
    const own = await startSvidWorld({
      world: { limits: { perSource: { perSecond: 0.01, burst: 3 }, refusalDelayMs: 0 } },
    })
    try {
      const request = () =>
        own.world.post('/token', { grant_type: 'client_credentials', resource: WIKI, client_id: 'orchestrator' })
      const statuses: number[] = []
      for (let number = 0; number < 5; number += 1) {
        own.identity = shown(await selfSigned({ uris: [ORCHESTRATOR] }))
        statuses.push((await request()).status)
      }
      expect(statuses).toEqual([401, 401, 401, 429, 429])
    } finally {
      await own.close()
    }
  })
})
