/**
 * A small company for tests: one IdP with Alice and Bob, an orchestrator that may delegate to a researcher (who may delegate
 * to a scribe), four MCP servers that differ in what they enforce, and a broker in process or on a socket.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { createBroker } from '../../src/app.ts'
import type { Broker } from '../../src/broker.ts'
import type { Config } from '../../src/config/config.ts'
import { developmentConfig } from '../../src/config/development.ts'
import type { Clock, Ticks } from '../../src/kernel/clock.ts'
import type { SessionId } from '../../src/kernel/ids.ts'
import { Secret } from '../../src/kernel/secret.ts'
import type { BrokerSettings } from '../../src/model/settings.ts'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import { startIssuer, type TestIssuer } from './issuer.ts'
import { publicJwk, sign, testKey } from './keys.ts'
import { NO_BRAKES, NO_LIMITS } from './no-limits.ts'
import { PATIENCE_MS, whenAvailable, whenReady } from './patience.ts'
import { checkRecords } from './record-schema.ts'
import { scratchDirectory } from './scratch.ts'
import { seedRsaKey } from './world-keys.ts'

export const WAREHOUSE = 'https://warehouse.example/mcp'
export const SLACK = 'https://slack.example/mcp'
/** An unmodified server: checks scope only. */
export const WIKI = 'https://wiki.example/mcp'
/** Checks tool names, not arguments; signs RS256. */
export const CALENDAR = 'https://calendar.example/mcp'

export class ManualClock implements Clock {
  readonly #read: () => number
  #aheadMs = 0

  /** @param runs beside a store that has a clock of its own: one that stood still would be wrong after a second */
  constructor(runs = false) {
    const begunMs = Date.now()
    this.#read = runs ? () => Date.now() : () => begunMs
  }

  nowMs(): number {
    return this.#read() + this.#aheadMs
  }

  advance(seconds: number): void {
    this.#aheadMs += seconds * 1000
  }
}

export interface WorldOptions {
  readonly store?: Config['store']
  readonly settings?: Partial<BrokerSettings>
  /** Merged over the default registry document, section by section. */
  readonly registry?: Readonly<Record<string, unknown>>
  readonly issuer?: TestIssuer
  readonly port?: number
  readonly keysDirectory?: string
  readonly realClock?: boolean
  /** Where metrics would be read: then they are counted. */
  readonly metrics?: Config['metrics']
  /** Off unless given: a test of a hundred refusals means the refusals. */
  readonly limits?: Partial<Config['limits']>
  readonly ticks?: Ticks
  /** Merged over the configuration. */
  readonly config?: Partial<Config>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  readonly body: any
}

const GRANTS = { tokenExchange: 'urn:ietf:params:oauth:grant-type:token-exchange' }
export const TYPE = {
  id: 'urn:ietf:params:oauth:token-type:id_token',
  access: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  session: 'urn:errand:token-type:session',
  delegation: 'urn:errand:token-type:delegation',
}

export type Params = Readonly<Record<string, string | readonly string[] | undefined>>

export type Sent = Readonly<Record<string, string>>

export interface Held {
  readonly session: string
  readonly sid: SessionId
  readonly delegation: string
  readonly access: string
}

export class World {
  readonly clock: Clock
  readonly idp: TestIssuer
  readonly config: Config
  readonly broker: Broker
  /** Ids of records that a test has written by itself. */
  readonly forged = new Set<string>()
  readonly #directory: string
  readonly #ownsIdp: boolean
  #jti = 0

  constructor(parts: {
    clock: Clock
    idp: TestIssuer
    config: Config
    broker: Broker
    directory: string
    ownsIdp: boolean
  }) {
    this.clock = parts.clock
    this.idp = parts.idp
    this.config = parts.config
    this.broker = parts.broker
    this.#directory = parts.directory
    this.#ownsIdp = parts.ownsIdp
  }

  get issuer(): string {
    return this.config.settings.issuer
  }

  now(): number {
    return Math.floor(this.clock.nowMs() / 1000)
  }

  /** Moves a manual clock and waits until the broker has confirmed its revocations at the new time. */
  async advance(seconds: number): Promise<void> {
    if (!(this.clock instanceof ManualClock)) throw new Error('this world runs on the real clock')
    this.clock.advance(seconds)
    for (let waitedMs = 0; waitedMs < PATIENCE_MS && !this.broker.cutoffs.fresh; waitedMs += 5) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  /** Whatever was done here was recorded as the catalogue of events says, or this fails. */
  async close(): Promise<void> {
    const checked = checkRecords(this.broker.store.audit, this.forged)
    await checked.catch(() => undefined)
    await this.broker.close()
    if (this.#ownsIdp) await this.idp.close()
    rmSync(this.#directory, { recursive: true, force: true })
    await checked
  }

  // --- Credentials -----------------------------------------------------------------------------------------------------

  /** Alice's ID token for the orchestrator; `undefined` removes a claim. */
  idToken(claims: Readonly<Record<string, unknown>> = {}, header: Readonly<Record<string, unknown>> = {}): string {
    const now = this.now()
    const base = { sub: 'alice', aud: 'orchestrator-at-idp', iat: now - 5, exp: now + 7200, auth_time: now - 10 }
    return this.idp.sign({ ...base, ...claims }, header).reveal()
  }

  /** Alice's access token at the orchestrator (RFC 9068), whose scope is a ceiling. */
  idpAccessToken(
    claims: Readonly<Record<string, unknown>> = {},
    header: Readonly<Record<string, unknown>> = {},
  ): string {
    return this.idToken(
      { client_id: 'orchestrator-at-idp', scope: 'mcp:tools:read mcp:tools:write', ...claims },
      { typ: 'at+jwt', ...header },
    )
  }

  /** A token of Alice's for the broker itself. */
  userToken(sub = 'alice', claims: Readonly<Record<string, unknown>> = {}): string {
    return this.idToken({ sub, aud: 'errand-users', ...claims })
  }

  assertion(
    client: string,
    claims: Readonly<Record<string, unknown>> = {},
    header: Readonly<Record<string, unknown>> = {},
  ): string {
    this.#jti += 1
    const now = this.now()
    const base = {
      iss: client,
      sub: client,
      aud: this.issuer,
      iat: now,
      exp: now + 60,
      jti: `${client}-${this.#jti}-${Math.trunc(performance.now() * 1000)}`,
    }
    return sign({
      key: testKey(`${client}-key`),
      header: { typ: 'client-authentication+jwt', ...header },
      claims: { ...base, ...claims },
    }).reveal()
  }

  // --- Requests --------------------------------------------------------------------------------------------------------

  async post(path: string, params: Params, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const body = new URLSearchParams()
    for (const [name, value] of Object.entries(params)) {
      for (const one of value === undefined ? [] : typeof value === 'string' ? [value] : value) body.append(name, one)
    }
    return this.request(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
      body: body.toString(),
    })
  }

  async request(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await this.broker.app.request(path, init)
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }

  authentication(client: string): Params {
    return {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: this.assertion(client),
    }
  }

  exchange(client: string, params: Params, headers: Sent = {}): Promise<Answer> {
    return this.post('/token', { grant_type: GRANTS.tokenExchange, ...this.authentication(client), ...params }, headers)
  }

  clientCredentials(client: string, params: Params, headers: Sent = {}): Promise<Answer> {
    return this.post('/token', { grant_type: 'client_credentials', ...this.authentication(client), ...params }, headers)
  }

  /** Open: the orchestrator's session for Alice. */
  open(params: Params = {}, headers: Sent = {}): Promise<Answer> {
    const usual = {
      subject_token: this.idToken(),
      subject_token_type: TYPE.id,
      requested_token_type: TYPE.session,
      authorization_details: JSON.stringify(INTENT),
    }
    return this.exchange('orchestrator', { ...usual, ...params }, headers)
  }

  continue(sessionToken: string, params: Params = {}, client = 'orchestrator', headers: Sent = {}): Promise<Answer> {
    const usual = { subject_token: sessionToken, subject_token_type: TYPE.session, resource: WAREHOUSE }
    return this.exchange(client, { ...usual, ...params }, headers)
  }

  delegate(sessionToken: string, params: Params = {}, client = 'orchestrator', headers: Sent = {}): Promise<Answer> {
    const usual = {
      subject_token: sessionToken,
      subject_token_type: TYPE.session,
      requested_token_type: TYPE.delegation,
      audience: 'researcher',
      authorization_details: JSON.stringify(DELEGATED),
    }
    return this.exchange(client, { ...usual, ...params }, headers)
  }

  accept(delegationToken: string, params: Params = {}, client = 'researcher', headers: Sent = {}): Promise<Answer> {
    const usual = {
      subject_token: delegationToken,
      subject_token_type: TYPE.delegation,
      requested_token_type: TYPE.session,
    }
    return this.exchange(client, { ...usual, ...params }, headers)
  }

  introspect(token: string, server = 'warehouse-server'): Promise<Answer> {
    return this.post('/introspect', { ...this.authentication(server), token })
  }

  revoke(token: string, client = 'orchestrator', params: Params = {}): Promise<Answer> {
    return this.post('/revoke', { ...this.authentication(client), token, ...params })
  }

  bearer(path: string, token: string, method = 'GET', json?: unknown): Promise<Answer> {
    return this.request(path, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    })
  }

  async apiToken(client = 'orchestrator', scope = 'sessions'): Promise<string> {
    const answer = await whenReady(() => this.clientCredentials(client, { resource: `${this.issuer}/api`, scope }))
    return answer.body.access_token
  }

  /** A token opened, continued: the usual beginning. */
  async opened(): Promise<{ session: string; sid: string }> {
    const answer = await whenReady(() => this.open())
    if (answer.status !== 200) throw new Error(`open failed: ${JSON.stringify(answer.body)}`)
    return { session: answer.body.access_token, sid: claimsOf(answer.body.access_token)['sid'] as string }
  }

  /** The orchestrator's session token, a delegation of it that nobody has accepted yet, and an access token. */
  async held(): Promise<Held> {
    const { session, sid } = await this.opened()
    const delegation = (await whenReady(() => this.delegate(session))).body.access_token
    const access = (await whenReady(() => this.continue(session))).body.access_token
    return { session, sid: sid as SessionId, delegation, access }
  }

  // --- What is left behind -----------------------------------------------------------------------------------------------

  // biome-ignore lint/suspicious/noExplicitAny: records of many shapes
  async audit(limit = 50): Promise<readonly any[]> {
    const entries = await whenAvailable(() => this.broker.store.audit.latest(limit))
    return entries.map((entry) => JSON.parse(entry.record))
  }

  async sessions(): Promise<readonly string[]> {
    return whenAvailable(() => this.broker.store.indexes.list('sessions:all', this.clock.nowMs(), 1000))
  }
}

const ASKS: ReadonlySet<unknown> = new Set<keyof World>([
  'exchange',
  'clientCredentials',
  'open',
  'continue',
  'delegate',
  'accept',
  'introspect',
  'revoke',
  'bearer',
])

/**
 * The same world for a test that is about neither a fault nor time: what is answered 503 there, as a broker may whose machine has
 * stood still for a moment, is asked again, with credentials made anew.
 */
export function patient<W extends World>(world: W): W {
  return new Proxy(world, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      const call = value.bind(target)
      return ASKS.has(name) ? (...args: unknown[]) => whenReady<Answer>(() => call(...args)) : call
    },
  })
}

/** Claims without verification. */
export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}

export function headerOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
}

/** What the orchestrator usually opens a session for. */
export const INTENT = [
  {
    type: 'agent_intent',
    purpose: 'Summarise Q3 revenue and post it to #finance',
    origin: { type: 'user_request', ref: 'msg-7731' },
    expires_in: 900,
  },
  {
    type: 'mcp_tools',
    locations: [WAREHOUSE],
    tools: { query: { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } }, list_tables: {} },
  },
  { type: 'mcp_tools', locations: [SLACK], tools: { post_message: { channel: { const: '#finance' }, text: {} } } },
]

/** What it passes on to the researcher: one table, fewer rows. */
export const DELEGATED = [
  { type: 'agent_intent', purpose: 'Find the Q3 revenue figures' },
  {
    type: 'mcp_tools',
    locations: [WAREHOUSE],
    tools: { query: { table: { const: 'revenue' }, limit: { maximum: 100 } } },
  },
]

/** The registry document of the world; sections can be replaced per test. */
export function registryDocument(idp: TestIssuer): Record<string, unknown> {
  const key = (client: string) => ({ ...publicJwk(testKey(`${client}-key`)), version: '1' })
  const service = (id: string) => ({
    client_id: id,
    keys: [key(id)],
    api_scopes: ['revocations'],
    grant_types: ['client_credentials'],
  })
  const agent = (id: string, more: object) => ({
    client_id: id,
    owner: 'alice@corp.example',
    environment: 'development',
    keys: [key(id)],
    grant_types: ['token-exchange', 'client_credentials'],
    api_scopes: ['sessions', 'revocations'],
    ...more,
  })
  const resource = (id: string, url: string, more: object) => ({
    id,
    url,
    owner: 'data-team',
    project: 'analytics',
    server_client: `${id}-server`,
    ...more,
  })
  return {
    issuers: [
      {
        issuer: idp.url,
        slug: 'corp',
        jwks_uri: `${idp.url}/jwks`,
        algorithms: ['ES256'],
        accepts: { id_token: true, access_token: 'ceiling' },
        user_audience: 'errand-users',
        admin_audience: 'errand-admins',
        users: 'listed',
      },
    ],
    users: [
      { issuer: 'corp', sub: 'alice', groups: ['finance'], roles: ['analyst'] },
      { issuer: 'corp', sub: 'bob', groups: ['finance'] },
      { issuer: 'corp', sub: 'mallory', groups: [], active: false },
    ],
    services: ['warehouse-server', 'slack-server', 'wiki-server', 'calendar-server'].map(service),
    resources: [
      resource('warehouse', WAREHOUSE, {
        enforces: 'arguments',
        tools: {
          query: { category: 'read' },
          list_tables: { category: 'read' },
          insert_rows: { category: 'write' },
          drop_table: { category: 'destructive' },
        },
      }),
      resource('slack', SLACK, {
        enforces: 'arguments',
        tools: { post_message: { category: 'write' }, list_channels: { category: 'read' } },
      }),
      resource('wiki', WIKI, {
        tools: { search: { category: 'read' }, read_page: { category: 'read' }, edit_page: { category: 'write' } },
      }),
      resource('calendar', CALENDAR, {
        enforces: 'tools',
        signing_alg: 'RS256',
        tools: { list_events: { category: 'read' }, free_busy: { category: 'read' } },
      }),
    ],
    agents: [
      agent('orchestrator', {
        manifest: [{ server: '*' }],
        delegates: ['researcher', 'orchestrator-twin'],
        upstream: { corp: 'orchestrator-at-idp' },
        standing_intent: { purpose: 'Keep the wiki tidy', tools: { wiki: { search: {}, read_page: {} } } },
      }),
      agent('orchestrator-twin', { manifest: [], upstream: { corp: 'twin-at-idp' } }),
      agent('researcher', {
        manifest: [{ server: 'warehouse', category: 'read' }],
        delegates: ['scribe', 'orchestrator'],
        upstream: { corp: 'researcher-at-idp' },
      }),
      agent('scribe', { manifest: [{ server: 'warehouse', tool: 'query' }], delegates: [] }),
    ],
    grants: [
      {
        id: 'finance-works',
        effect: 'allow',
        principals: [{ group: 'finance' }],
        resources: [{ server: '*' }],
        reason: 'finance uses all tools',
      },
    ],
  }
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const directory = scratchDirectory('errand-world-')
  const clock: Clock =
    options.realClock === true ? { nowMs: () => Date.now() } : new ManualClock(options.store?.kind === 'redis')
  const idp = options.issuer ?? (await startIssuer({ slug: 'corp' }))
  const base = developmentConfig({
    port: options.port ?? 4400,
    store: options.store ?? { kind: 'embedded', directory: join(directory, 'store') },
    keysDirectory: options.keysDirectory ?? join(directory, 'keys'),
    logLevel: 'silent',
  })
  const metrics = options.metrics === undefined ? {} : { metrics: options.metrics }
  const config: Config = {
    ...base,
    ...metrics,
    ...options.config,
    settings: { ...base.settings, drift: NO_BRAKES, ...options.settings },
    limits: { ...NO_LIMITS, ...options.limits },
  }
  const document = { ...registryDocument(idp), ...options.registry }
  const { resources } = decodeRegistry(document, 'world.yaml', { issuer: config.settings.issuer })
  const signs = resources.some(({ signingAlg }) => signingAlg === 'RS256')
  if (signs && options.keysDirectory === undefined) await seedRsaKey(config.keys.directory)
  const broker = await createBroker(config, {
    documents: [{ document, sourceName: 'world.yaml' }],
    clock,
    ...(options.ticks === undefined ? {} : { ticks: options.ticks }),
  })
  return new World({ clock, idp, config, broker, directory, ownsIdp: options.issuer === undefined })
}

export { Secret }
