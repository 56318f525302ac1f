/**
 * A world whose agents run on platforms: a cluster (Kubernetes) and a CI service (any OpenID provider), both over real HTTP.
 * The reporter has no key of its own: its platforms' tokens are all it authenticates with.
 */
import { startIssuer, type TestIssuer } from './issuer.ts'
import { kubernetes } from './platforms/kubernetes.ts'
import {
  type Answer,
  type Params,
  registryDocument,
  type Sent,
  startWorld,
  TYPE,
  WIKI,
  type World,
  type WorldOptions,
} from './world.ts'

type Claims = Readonly<Record<string, unknown>>

export const REPORTER = 'system:serviceaccount:agents:report-agent'
export const REPORTER_UID = 'a709ef71-30e2-489a-bd19-ade97031b9db'
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export interface WorkloadWorld {
  readonly world: World
  readonly cluster: TestIssuer
  readonly ci: TestIssuer
  /** The reporter's projected service-account token; `undefined` removes a claim. */
  podToken(claims?: Claims, header?: Claims): string
  /** A job's token of the CI service: the reporter's, unless `sub` says otherwise. */
  jobToken(claims?: Claims, header?: Claims): string
  /** `client_credentials` for the wiki, with this token as the client's assertion. */
  ask(token: string, params?: Params, headers?: Sent): Promise<Answer>
  /** The reporter's session, opened with this token as subject. */
  open(subject: string, params?: Params, headers?: Sent): Promise<Answer>
  /** Workload Identity Federation: the token is grant and authentication. */
  federate(token: string, params?: Params, headers?: Sent): Promise<Answer>
  close(): Promise<void>
}

export interface WorkloadOptions extends Omit<WorldOptions, 'registry' | 'issuer'> {
  /** Changes the registry document. */
  // biome-ignore lint/suspicious/noExplicitAny: a test changes any member of it
  readonly change?: (document: any) => void
}

/** The world's registry document, and what stands on these platforms. */
export function withWorkloads(
  document: Readonly<Record<string, unknown>>,
  cluster: TestIssuer,
  ci: TestIssuer,
): Record<string, unknown> {
  const [services, agents] = [document['services'], document['agents']] as Record<string, unknown>[][]
  const usual = agents?.find((agent) => agent['client_id'] === 'orchestrator')
  const reporter = {
    ...usual,
    client_id: 'reporter',
    keys: [],
    grant_types: ['token-exchange', 'client_credentials', 'jwt-bearer'],
    workloads: [
      { issuer: 'cluster', match: { sub: REPORTER, '/kubernetes.io/serviceaccount/uid': REPORTER_UID }, version: '3' },
      { issuer: 'ci', match: { sub: 'job/reporter' }, version: 'ci' },
    ],
  }
  const server = services?.map((one) =>
    one['client_id'] === 'wiki-server'
      ? { ...one, workloads: [{ issuer: 'ci', match: { sub: 'job/wiki' }, version: '1' }] }
      : one,
  )
  return {
    ...document,
    services: server,
    agents: [...(agents ?? []), reporter],
    workload_issuers: [
      {
        issuer: cluster.url,
        slug: 'cluster',
        platform: 'kubernetes',
        jwks_uri: `${cluster.url}/openid/v1/jwks`,
        audiences: ['errand'],
        max_lifetime_seconds: 7200,
      },
      { issuer: ci.url, slug: 'ci', platform: 'oidc', jwks_uri: `${ci.url}/jwks`, audiences: ['errand'] },
    ],
  }
}

export async function startWorkloadWorld({ change, ...options }: WorkloadOptions = {}): Promise<WorkloadWorld> {
  const idp = await startIssuer({ slug: 'corp' })
  const cluster = await startIssuer({ slug: 'cluster', alg: 'RS256' })
  const ci = await startIssuer({ slug: 'ci' })
  const document = withWorkloads(registryDocument(idp), cluster, ci)
  change?.(document)
  const world = await startWorld({ ...options, issuer: idp, registry: document })
  return {
    world,
    cluster,
    ci,
    ...tokensOf(world, cluster, ci),
    ...requestsOf(world),
    close: async () => {
      await world.close()
      await Promise.all([idp, cluster, ci].map((server) => server.close()))
    },
  }
}

export function tokensOf(world: Pick<World, 'now'>, cluster: TestIssuer, ci: TestIssuer) {
  return {
    podToken: (claims: Claims = {}, header: Claims = {}) => {
      const now = world.now()
      const base = { aud: ['errand'], iat: now, nbf: now, exp: now + kubernetes.lifetime }
      return cluster.sign({ ...base, ...kubernetes.claims(now), ...claims }, header).reveal()
    },
    jobToken: (claims: Claims = {}, header: Claims = {}) => {
      const now = world.now()
      const base = { sub: 'job/reporter', aud: 'errand', iat: now, exp: now + 600, jti: crypto.randomUUID() }
      return ci.sign({ ...base, ...claims }, { typ: 'JWT', ...header }).reveal()
    },
  }
}

export const asClient = (token: string): Params => ({ client_assertion_type: ASSERTION_TYPE, client_assertion: token })

/** A second token of the same workload authenticates: one JWT fills one slot. */
export function requestsOf(world: Pick<World, 'post'>) {
  return {
    ask: (token: string, params: Params = {}, headers: Sent = {}) =>
      world.post(
        '/token',
        { grant_type: 'client_credentials', resource: WIKI, ...asClient(token), ...params },
        headers,
      ),
    open: (subject: string, params: Params = {}, headers: Sent = {}) =>
      world.post(
        '/token',
        {
          grant_type: TOKEN_EXCHANGE,
          subject_token: subject,
          subject_token_type: TYPE.jwt,
          requested_token_type: TYPE.session,
          ...params,
        },
        headers,
      ),
    federate: (token: string, params: Params = {}, headers: Sent = {}) =>
      world.post('/token', { grant_type: JWT_BEARER, assertion: token, resource: WIKI, ...params }, headers),
  }
}
