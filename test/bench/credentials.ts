/**
 * `bench credentials`: what a credential costs that nobody has shown before, of an issuer whose keys are known, against the
 * bare check of its signature; and whether it is asked for anything over the network. Both checks of a round are of the same
 * tokens, in this process; the bare one is node:crypto alone, on this thread, with the token already taken apart. The key of
 * a DPoP proof comes with it, so that its bare check reads that key, too.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { prepareAssertion } from '../../src/credentials/client/client-assertion.ts'
import { provenKeys } from '../../src/credentials/proof/possession.ts'
import { verifyIdJag } from '../../src/credentials/user/id-jag.ts'
import { verifyUserEvidence } from '../../src/credentials/user/user-evidence.ts'
import { prepareJwtSvid } from '../../src/credentials/workload/jwt-svid.ts'
import { prepareWorkloadToken } from '../../src/credentials/workload/workload-token.ts'
import { Secret } from '../../src/kernel/secret.ts'
import type { Agent } from '../../src/model/client.ts'
import type { WorkloadIssuer } from '../../src/model/workload.ts'
import { ClientKeys } from '../../src/net/client-keys.ts'
import { createGuardedFetch, type FetchJson } from '../../src/net/guarded-fetch.ts'
import { IssuerKeys } from '../../src/net/issuer-keys.ts'
import { TrustBundles } from '../../src/net/trust-bundles.ts'
import { ENDPOINT } from '../../src/protocol/oauth.ts'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { publicJwk, sign, type TestKey, testKey } from '../support/keys.ts'
import { startTrustDomain, type TestTrustDomain } from '../support/trust-domain.ts'
import { ISSUER } from './company.ts'
import { atMost, environment, median, rounded } from './figures.ts'
import { goalTable, type Output, table } from './output.ts'

export interface CredentialsOptions {
  readonly rounds: number
  /** Credentials of each kind in one turn. */
  readonly exchanges: number
  /** Credentials of each kind before the first round, not measured: what is measured is a broker that has been running. */
  readonly warmup: number
}

const TOOL_SERVER = 'https://server.example/mcp'
/** Verified at once, as requests that arrive together are. */
const TOGETHER = 16
const CHUNK = 128
const now = (): number => Math.floor(Date.now() / 1000)

interface Kind {
  readonly name: string
  /** A credential as its holder makes it; no two are the same. */
  make(n: number): Secret
  verify(credential: Secret): Promise<unknown>
  /** The key that the bare check is made with. */
  key(): KeyObject
}

export async function credentials(options: CredentialsOptions, output: Output): Promise<unknown> {
  const idp = await startIssuer({ slug: 'corp' })
  const rsa = await startIssuer({ slug: 'rsa', alg: 'RS256' })
  const published = await startIssuer({ slug: 'agent-keys' })
  const platform = await startIssuer({ slug: 'platform' })
  const domain = await startTrustDomain('example.org')
  let requests = 0
  const guarded = createGuardedFetch({ allowLoopback: true })
  const fetchJson: FetchJson = (url, request) => {
    requests += 1
    return guarded(url, request)
  }
  try {
    const kinds = kindsOf({ idp, rsa, published, platform, domain }, fetchJson)
    for (const kind of kinds) await turn(kind, options.warmup)
    const warm = requests
    const turns = new Map(kinds.map((kind) => [kind, [] as Turn[]]))
    for (let round = 0; round < options.rounds; round += 1) {
      output.progress(`round ${round + 1} of ${options.rounds}`)
      for (const kind of kinds) turns.get(kind)?.push(await turn(kind, options.exchanges))
    }
    const figures = Object.fromEntries([...turns].map(([{ name }, all]) => [name, figuresOf(all)]))
    const worst = Math.max(...Object.values(figures).map(({ ratio }) => ratio))
    const goals = {
      cached_issuer_ratio: atMost(worst, 2),
      cached_issuer_requests: atMost(requests - warm, 0),
    }
    const rows = Object.entries(figures).map(([name, { verification_us, signature_us, ratio }]) => [
      name,
      verification_us,
      signature_us,
      ratio,
    ])
    output.say(`${table([['credential', 'CPU µs', 'bare signature', 'ratio'], ...rows])}\n\n${goalTable(goals)}`)
    return { bench: 'credentials', environment: environment(), requests_before: warm, figures, goals }
  } finally {
    await Promise.all([idp.close(), rsa.close(), published.close(), platform.close(), domain.close()])
  }
}

interface Turn {
  readonly verificationUs: number
  readonly signatureUs: number
}

function figuresOf(turns: readonly Turn[]) {
  const verification = median(turns.map(({ verificationUs }) => verificationUs))
  const signature = median(turns.map(({ signatureUs }) => signatureUs))
  return {
    verification_us: rounded(verification, 1),
    signature_us: rounded(signature, 1),
    // Of neighbours in time: what else the machine did then concerns both.
    ratio: rounded(median(turns.map(({ verificationUs, signatureUs }) => verificationUs / signatureUs)), 2),
  }
}

let made = 0

async function turn({ make, verify: check, key }: Kind, count: number): Promise<Turn> {
  const texts = Array.from({ length: count }, () => make(made++).reveal())
  const parts = texts.map((text) => {
    const end = text.lastIndexOf('.')
    return { input: Buffer.from(text.slice(0, end)), signature: Buffer.from(text.slice(end + 1), 'base64url') }
  })
  const spent = { verificationUs: 0, signatureUs: 0 }
  // In turns shorter than whatever else the machine does: that then concerns both alike.
  for (let start = 0; start < count; start += CHUNK) {
    const end = Math.min(count, start + CHUNK)
    spent.signatureUs += await cpuOf(async () => {
      for (const { input, signature } of parts.slice(start, end)) {
        const isGood = verify('sha256', input, { key: key(), dsaEncoding: 'ieee-p1363' }, signature)
        if (!isGood) throw new Error('a signature does not verify')
      }
    })
    spent.verificationUs += await cpuOf(async () => {
      for (let next = start; next < end; next += TOGETHER) {
        const group = texts.slice(next, Math.min(end, next + TOGETHER))
        await Promise.all(group.map((text) => check(new Secret(text))))
      }
    })
  }
  return { verificationUs: spent.verificationUs / count, signatureUs: spent.signatureUs / count }
}

/** CPU µs of this process, all its threads. */
async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

interface Parties {
  readonly idp: TestIssuer
  readonly rsa: TestIssuer
  /** Publishes an agent's own keys. */
  readonly published: TestIssuer
  /** Vouches for a workload. */
  readonly platform: TestIssuer
  readonly domain: TestTrustDomain
}

function kindsOf(parties: Parties, fetchJson: FetchJson): readonly Kind[] {
  const { idp, rsa, published, platform, domain } = parties
  const registry = decodeRegistry(registryDocument(parties), 'bench', { issuer: ISSUER })
  // It stands still: keys that grow old are read again in the background, and that is not what is measured.
  const begunMs = Date.now()
  const network = { fetchJson, clock: { nowMs: () => begunMs } }
  const keys = new IssuerKeys(network)
  const clientKeys = new ClientKeys(network)
  const bundles = new TrustBundles(network)
  const agent = registry.client('agent') as Agent
  const vouching = registry.workloadIssuer(platform.url) as WorkloadIssuer
  const atEndpoint = { endpoint: ENDPOINT.token, issuer: ISSUER, registry, clientKeys, bundles }
  const times = () => ({ iat: now(), exp: now() + 300 })
  const user = () => ({ ...times(), sub: 'alice', aud: 'agent-at-idp', auth_time: now(), email: 'alice@example.com' })
  const evidence = () => ({ registry, keys, issuer: ISSUER, now: now() })
  const signedBy = (key: TestKey, claims: object, header: object) =>
    sign({ key, claims: { ...claims }, header: { ...header } })
  const proofKey = testKey('dpop')
  const { kid: _kid, alg: _alg, use: _use, ...jwk } = publicJwk(proofKey) as Record<string, unknown>
  const ofIdToken = (issuer: TestIssuer) => ({
    make: (n: number) => issuer.sign({ ...user(), nonce: `n-${n}` }),
    verify: (token: Secret) => verifyUserEvidence(token, 'id_token', agent, evidence()),
    key: () => issuer.key.publicKey,
  })
  return [
    { name: 'id_token', ...ofIdToken(idp) },
    { name: 'id_token_rs256', ...ofIdToken(rsa) },
    {
      name: 'access_token',
      make: (n) => idp.sign({ ...user(), client_id: 'agent-at-idp', scope: 'read', jti: `${n}` }, { typ: 'at+jwt' }),
      verify: (token) => verifyUserEvidence(token, 'access_token', agent, evidence()),
      key: () => idp.key.publicKey,
    },
    {
      name: 'id_jag',
      make: (n) => {
        const claims = { ...times(), sub: 'alice', aud: ISSUER, client_id: 'agent', resource: TOOL_SERVER, jti: `${n}` }
        return idp.sign({ ...claims, scope: 'mcp:tools:read' }, { typ: 'oauth-id-jag+jwt' })
      },
      verify: (token) => verifyIdJag(token, agent, evidence()),
      key: () => idp.key.publicKey,
    },
    {
      name: 'client_assertion',
      make: (n) =>
        signedBy(published.key, { ...times(), iss: 'agent', sub: 'agent', aud: ISSUER, jti: `${n}` }, { typ: 'JWT' }),
      verify: async (assertion) =>
        (await prepareAssertion(assertion, { clientId: undefined }, { ...atEndpoint, now: now() }))(),
      key: () => published.key.publicKey,
    },
    {
      name: 'jwt_svid',
      make: (n) => new Secret(domain.svid('/agent', ISSUER, { jti: `${n}` })),
      verify: async (svid) => (await prepareJwtSvid(svid, 'client_assertion', { ...atEndpoint, now: now() }))(),
      key: () => domain.key.publicKey,
    },
    {
      name: 'workload_jwt',
      make: (n) => platform.sign({ ...times(), sub: 'workload', aud: ISSUER, jti: `${n}` }),
      verify: async (token) => (await prepareWorkloadToken(token, 'client_assertion', vouching, evidence()))(),
      key: () => platform.key.publicKey,
    },
    {
      name: 'dpop_proof',
      make: (n) =>
        signedBy(
          proofKey,
          { htm: 'POST', htu: `${ISSUER}/token`, iat: now(), jti: `proof-${n}` },
          { typ: 'dpop+jwt', jwk, kid: undefined },
        ),
      verify: (proof) => {
        const context = { method: 'POST', url: `${ISSUER}/token`, token: undefined, nonces: undefined, now: now() }
        return provenKeys({ dpopProof: proof }, context)
      },
      key: () => createPublicKey({ key: jwk as never, format: 'jwk' }),
    },
  ]
}

function registryDocument({ idp, rsa, published, platform, domain }: Parties): unknown {
  const accepts = { id_token: true, access_token: 'ceiling', id_jag: 'ceiling' }
  return {
    issuers: [
      { issuer: idp.url, slug: 'corp', jwks_uri: `${idp.url}/jwks`, algorithms: ['ES256'], accepts },
      { issuer: rsa.url, slug: 'rsa', jwks_uri: `${rsa.url}/jwks`, algorithms: ['RS256'], accepts },
    ],
    users: [
      { issuer: 'corp', sub: 'alice' },
      { issuer: 'rsa', sub: 'alice' },
    ],
    workload_issuers: [
      {
        issuer: platform.url,
        slug: 'platform',
        platform: 'oidc',
        jwks_uri: `${platform.url}/jwks`,
        algorithms: ['ES256'],
      },
    ],
    trust_domains: [domain.entry],
    resources: [{ id: 'server', url: TOOL_SERVER, owner: 'o', project: 'p', tools: { query: { category: 'read' } } }],
    agents: [
      {
        client_id: 'agent',
        owner: 'bench',
        environment: 'development',
        key_sets: [{ jwks_uri: `${published.url}/jwks`, version: '1' }],
        spiffe_ids: [{ id: 'spiffe://example.org/agent', version: '1' }],
        workloads: [{ issuer: 'platform', match: { sub: 'workload' }, version: '1' }],
        grant_types: ['token-exchange', 'jwt-bearer', 'client_credentials'],
        manifest: [{ server: '*' }],
        upstream: { corp: 'agent-at-idp', rsa: 'agent-at-idp' },
      },
    ],
  }
}
