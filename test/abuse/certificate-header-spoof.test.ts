/**
 * #23: a certificate in a header is worth what its sender is worth. A broker behind a proxy that ends TLS, both real servers:
 * whoever is not the proxy, or gets a header past it, is nobody.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { CertificateHeader } from '../../src/http/certificate-header.ts'
import { type IssuedCertificate, TestAuthority } from '../support/authorities.ts'
import { expectRefused, invalidClient } from '../support/refusal.ts'
import {
  type Identity,
  ORCHESTRATOR,
  type PassOn,
  PROXY_ADDRESS,
  RESEARCHER,
  type SvidWorld,
  send,
  shown,
  startProxy,
  startSvidWorld,
} from '../support/svid-world.ts'
import { type Answer, claimsOf, WIKI } from '../support/world.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const bodyOf = (clientId: string) =>
  new URLSearchParams({ grant_type: 'client_credentials', resource: WIKI, client_id: clientId }).toString()
const pem = (der: Buffer) =>
  encodeURIComponent(
    `-----BEGIN CERTIFICATE-----\n${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`,
  )

/** What each kind of proxy writes, for whoever has shown a certificate. */
const WRITES: Readonly<Record<CertificateHeader, PassOn>> = {
  'client-cert': ([own, ...chain]) =>
    own === undefined
      ? {}
      : {
          'Client-Cert': `:${own.toString('base64')}:`,
          ...(chain.length === 0
            ? {}
            : { 'Client-Cert-Chain': chain.map((der) => `:${der.toString('base64')}:`).join(', ') }),
        },
  'x-forwarded-client-cert': (chain) =>
    chain[0] === undefined
      ? {}
      : { 'X-Forwarded-Client-Cert': `Cert="${pem(chain[0])}";Chain="${chain.map(pem).join('')}"` },
  'ssl-client-cert': ([own]): Record<string, string> => (own === undefined ? {} : { 'ssl-client-cert': pem(own) }),
  'x-amzn-mtls-clientcert': (chain): Record<string, string> =>
    chain.length === 0 ? {} : { 'x-amzn-mtls-clientcert': chain.map(pem).join('') },
}
const HEADERS = Object.keys(WRITES) as CertificateHeader[]
const OWN_HEADERS = [...HEADERS, 'client-cert-chain']

/** The wiki takes bound tokens only. */
function bindingWiki(document: Record<string, unknown>): Record<string, unknown> {
  const resources = (document['resources'] as Record<string, unknown>[]).map((entry) =>
    entry['id'] === 'wiki' ? { ...entry, sender_constraint: 'required' } : entry,
  )
  return { ...document, resources }
}

async function through(
  header: CertificateHeader,
  strips: readonly string[],
  work: (
    svids: SvidWorld,
    ask: (identity: Identity | undefined, headers?: Record<string, string>, clientId?: string) => Promise<Answer>,
  ) => Promise<void>,
): Promise<void> {
  const svids = await startSvidWorld({ source: header, registry: bindingWiki })
  const proxy = await startProxy(svids.port, strips, WRITES[header])
  try {
    svids.world.request = (path, init) =>
      send(
        {
          path,
          method: init?.method ?? 'GET',
          headers: init?.headers as Record<string, string>,
          body: init?.body as string,
        },
        { port: proxy.port, identity: svids.identity },
        proxy.ca,
      )
    await work(svids, (identity, headers = {}, clientId = 'orchestrator') => {
      svids.identity = identity
      return svids.world.request('/token', { method: 'POST', headers: { ...FORM, ...headers }, body: bodyOf(clientId) })
    })
  } finally {
    await proxy.close()
    await svids.close()
  }
}

const refusedBehind = (svids: SvidWorld, request: () => Promise<Answer>, reason: Parameters<typeof invalidClient>[0]) =>
  expectRefused(svids.world, request, { ...invalidClient(reason), source: PROXY_ADDRESS })

test.each(
  HEADERS,
)('%s: who has shown a certificate to the proxy is its client; a copy of another’s is replaced', (header) =>
  through(header, OWN_HEADERS, async (svids, ask) => {
    const own = shown(await svids.root.issue({ uris: [ORCHESTRATOR] }))
    const { status, body } = await ask(own)
    expect(status, JSON.stringify(body)).toBe(200)
    const stolen = WRITES[header]([(await svids.root.issue({ uris: [RESEARCHER] })).der])
    expect((await ask(own, stolen)).status).toBe(200)
    await refusedBehind(svids, () => ask(own, stolen, 'researcher'), 'client_certificate_client_id')
    await refusedBehind(svids, () => ask(undefined, stolen, 'researcher'), 'client_authentication_missing')
  }))

test('#23 a proxy passes on what it has not verified: the broker judges it as if it had been shown to it', () =>
  through('client-cert', OWN_HEADERS, async (svids, ask) => {
    const middle = await svids.root.intermediate()
    const own = await middle.issue({ uris: [ORCHESTRATOR] })
    expect((await ask(shown(own, middle))).status).toBe(200)
    await refusedBehind(svids, () => ask(shown(own)), 'client_certificate_untrusted')
    const stranger = await TestAuthority.root()
    const forged = shown(await stranger.issue({ uris: [ORCHESTRATOR] }), stranger)
    await refusedBehind(svids, () => ask(forged), 'client_certificate_untrusted')
  }))

test('a token is bound to the certificate that the proxy has seen, never to one that its client wrote', () =>
  through('client-cert', OWN_HEADERS, async (svids, ask) => {
    const uris = [ORCHESTRATOR]
    const [own, other] = [await svids.root.issue({ uris }), await svids.root.issue({ uris })]
    const { body } = await ask(shown(own), WRITES['client-cert']([other.der]))
    expect(claimsOf(body.access_token)['cnf']).toEqual({ 'x5t#S256': own.thumbprint })
  }))

test.each(HEADERS)('%s: a careless proxy that adds its header beside the client’s own authenticates nobody', (header) =>
  through(header, [], async (svids, ask) => {
    const stolen = WRITES[header]([(await svids.root.issue({ uris: [RESEARCHER] })).der])
    const mine = shown(await svids.root.issue({ uris: [ORCHESTRATOR] }))
    for (const clientId of ['researcher', 'orchestrator']) {
      await refusedBehind(svids, () => ask(mine, stolen, clientId), 'client_certificate_malformed')
    }
  }))

test.each([
  ['ssl-client-cert', 'Client-Cert'],
  ['client-cert', 'X-Forwarded-Client-Cert'],
] as const)('behind a proxy that writes %s, nobody reads %s', (configured, other) =>
  through(configured, [configured], async (svids, ask) => {
    const stolen = WRITES[other.toLowerCase() as CertificateHeader]([
      (await svids.root.issue({ uris: [RESEARCHER] })).der,
    ])
    await refusedBehind(svids, () => ask(undefined, stolen, 'researcher'), 'client_authentication_missing')
  }))

test('a chain of a client’s own beside the proxy’s certificate is no chain', () =>
  through('client-cert', ['client-cert'], async (svids, ask) => {
    const own = await svids.root.issue({ uris: [ORCHESTRATOR] })
    const { status } = await ask(undefined, { 'Client-Cert-Chain': `:${own.der.toString('base64')}:` })
    expect(status).toBe(401)
  }))

let direct: SvidWorld
let stolen: IssuedCertificate
beforeAll(async () => {
  direct = await startSvidWorld({ source: 'client-cert' })
  stolen = await direct.root.issue({ uris: [ORCHESTRATOR] })
})
afterAll(() => direct.close())
beforeEach(() => {
  direct.headers = {}
})

test.each(HEADERS)('#23 %s from whoever is not the proxy is as if it had not been sent', async (header) => {
  direct.headers = { ...WRITES[header]([stolen.der]), 'X-Forwarded-For': PROXY_ADDRESS }
  const request = () => direct.world.request('/token', { method: 'POST', headers: FORM, body: bodyOf('orchestrator') })
  await expectRefused(direct.world, request, { ...invalidClient('client_authentication_missing'), source: '127.0.0.1' })
  // It neither hinders those who authenticate otherwise.
  const answer = await direct.world.clientCredentials('researcher', {
    resource: `${direct.world.issuer}/api`,
    scope: 'sessions',
  })
  expect(answer.status).toBe(200)
})

test('our own listener reads certificates from handshakes alone: headers are nobody’s there', async () => {
  const svids = await startSvidWorld()
  try {
    const leaf = await svids.root.issue({ uris: [RESEARCHER] })
    for (const header of HEADERS) {
      svids.headers = WRITES[header]([leaf.der])
      const request = () => svids.world.request('/token', { method: 'POST', headers: FORM, body: bodyOf('researcher') })
      await expectRefused(svids.world, request, {
        ...invalidClient('client_authentication_missing'),
        source: '127.0.0.1',
      })
    }
  } finally {
    await svids.close()
  }
})
