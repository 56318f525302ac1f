/**
 * Every way in which this broker issues, each with agents, a user, a server and a grant of its own: so that a change of the
 * policy can be aimed at one of them alone. What is held is held twice over: once to be taken away, once to live on.
 */
import { newApiKey } from '../../src/credentials/client/api-key.ts'
import { newClientSecret } from '../../src/credentials/client/client-secret.ts'
import type { ClientDocuments } from '../support/client-documents.ts'
import { details, granted, intent, tools } from '../support/hops.ts'
import { idJag, JWT_BEARER } from '../support/id-jag.ts'
import type { TestIssuer } from '../support/issuer.ts'
import { publicJwk, sign, testKey } from '../support/keys.ts'
import { asClient, TOKEN_EXCHANGE } from '../support/workloads.ts'
import { type Answer, type Params, TYPE, type World } from '../support/world.ts'

export type Entry = Record<string, unknown>

/** Who and what one flow consists of. */
export interface Cast {
  readonly name: string
  readonly agent: string
  readonly delegate: string
  readonly sub: string
  readonly resource: string
  readonly grant: string
  /** Of the agents, the one that changes are aimed at. */
  readonly aim: string
}

export interface Around {
  readonly ci: TestIssuer
  readonly host: ClientDocuments
}

export interface Held {
  lives(world: World): Promise<boolean>
  /** What would issue something new, from what is held or from the beginning. */
  readonly again: readonly ((world: World) => Promise<Answer>)[]
}

export interface Flow {
  readonly title: string
  /** `user`: somebody's. `agent`: its own. `api`: for the broker's own endpoints, where no policy of tools applies. */
  readonly behalf: 'user' | 'agent' | 'api'
  /** Members of the agent's entry. */
  readonly entry?: (cast: Cast, around: Around) => Entry
  /** As the entry reads without the credential that this flow authenticates with. */
  readonly without?: Entry
  readonly aimsAtDelegate?: true
  readonly hasUrl?: true
  readonly hold: (world: World, cast: Cast, around: Around) => Promise<Held>
}

export const urlOf = ({ resource }: Cast) => `https://${resource}.example/mcp`
const SERVER = 'warehouse-server'
const secret = newClientSecret()
const apiKey = newApiKey()

const wanted = (cast: Cast) => details(intent({ max_depth: 1 }), tools(urlOf(cast), { query: {} }))
const itself = (cast: Cast) => details(intent({ origin: { type: 'schedule' } }), tools(urlOf(cast), { query: {} }))

/** `again` begins from the beginning; whoever holds a session continues it, too. */
function holding(access: string, again: Held['again']): Held {
  return { lives: async (world) => (await world.introspect(access, SERVER)).body.active === true, again }
}

const opening = (cast: Cast, params: Params) => (world: World) =>
  world.exchange(cast.agent, {
    subject_token: world.idToken({ sub: cast.sub, aud: `${cast.agent}-at-idp` }),
    subject_token_type: TYPE.id,
    authorization_details: wanted(cast),
    ...params,
  })
const openingSession = (cast: Cast) => opening(cast, { requested_token_type: TYPE.session })
const openingAccess = (cast: Cast) => opening(cast, { requested_token_type: TYPE.access, resource: urlOf(cast) })
const continuing =
  (cast: Cast, session: string, client = cast.agent) =>
  (world: World) =>
    world.continue(session, { resource: urlOf(cast) }, client)
const delegating = (cast: Cast, session: string) => (world: World) =>
  world.delegate(
    session,
    {
      audience: cast.delegate,
      authorization_details: details(intent(), tools(urlOf(cast), { query: { limit: { maximum: 9 } } })),
    },
    cast.agent,
  )
const accepting = (cast: Cast, delegation: string) => (world: World) => world.accept(delegation, {}, cast.delegate)

/** The root's session, a delegation accepted, and another that nobody has accepted yet. */
async function holdDelegated(world: World, cast: Cast): Promise<Held> {
  const root = (await granted(openingSession(cast)(world))).token
  const [first, pending] = [await granted(delegating(cast, root)(world)), await granted(delegating(cast, root)(world))]
  const session = (await granted(accepting(cast, first.token)(world))).token
  const access = (await granted(continuing(cast, session, cast.delegate)(world))).token
  const accepted = [continuing(cast, session, cast.delegate), accepting(cast, pending.token)]
  // What is given to an agent that cannot authenticate is nobody's: it is not asked for on the other one's behalf.
  return holding(access, cast.aim === cast.agent ? [...accepted, delegating(cast, root)] : accepted)
}

/** Of flows whose one request is the whole flow. */
const asking = (ask: (world: World, cast: Cast, around: Around) => Promise<Answer>): Flow['hold'] =>
  async function hold(world, cast, around) {
    const { token } = await granted(ask(world, cast, around))
    return holding(token, [(at) => ask(at, cast, around)])
  }

const jobToken = (world: World, { name }: Cast, { ci }: Around) => {
  const now = world.now()
  const claims = { sub: `job/${name}`, aud: 'errand', iat: now, exp: now + 600, jti: crypto.randomUUID() }
  return ci.sign(claims, { typ: 'JWT' }).reveal()
}
const workload = ({ name }: Cast): Entry => ({
  keys: [],
  workloads: [{ issuer: 'ci', match: { sub: `job/${name}` }, version: '1' }],
})
const OTHER_KEY = { keys: [{ ...publicJwk(testKey('successor')), version: '1' }] }
const dated = () => {
  const at = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()
  return { issued_at: at(-1), expires_at: at(30) }
}
const own = (cast: Cast): Params => ({
  grant_type: 'client_credentials',
  resource: urlOf(cast),
  authorization_details: itself(cast),
})

export const FLOWS: readonly Flow[] = [
  {
    title: 'token exchange of an ID token',
    behalf: 'user',
    hold: asking((world, cast) => openingAccess(cast)(world)),
  },
  {
    title: 'a session continued',
    behalf: 'user',
    hold: async (world, cast) => {
      const session = (await granted(openingSession(cast)(world))).token
      const access = (await granted(continuing(cast, session)(world))).token
      return holding(access, [continuing(cast, session), delegating(cast, session), openingSession(cast)])
    },
  },
  { title: 'a delegation, of whoever gave it', behalf: 'user', hold: holdDelegated },
  { title: 'a delegation, of whoever accepted it', behalf: 'user', aimsAtDelegate: true, hold: holdDelegated },
  {
    title: 'an ID-JAG',
    behalf: 'user',
    hold: asking((world, cast) =>
      world.post('/token', {
        grant_type: JWT_BEARER,
        ...world.authentication(cast.agent),
        assertion: idJag(world, { sub: cast.sub, client_id: cast.agent, resource: urlOf(cast) }),
        authorization_details: wanted(cast),
      }),
    ),
  },
  {
    title: 'client credentials',
    behalf: 'agent',
    hold: asking((world, cast) => world.clientCredentials(cast.agent, own(cast))),
  },
  {
    title: 'a session that a workload token opened',
    behalf: 'agent',
    entry: workload,
    without: { ...OTHER_KEY, workloads: [] },
    hold: async (world, cast, around) => {
      const open = (at: World) =>
        at.post('/token', {
          grant_type: TOKEN_EXCHANGE,
          subject_token: jobToken(at, cast, around),
          subject_token_type: TYPE.jwt,
          requested_token_type: TYPE.session,
          authorization_details: itself(cast),
          // A second token of the same workload: one JWT fills one slot.
          ...asClient(jobToken(at, cast, around)),
        })
      const session = (await granted(open(world))).token
      const next = (at: World) =>
        at.post('/token', {
          grant_type: TOKEN_EXCHANGE,
          subject_token: session,
          subject_token_type: TYPE.session,
          resource: urlOf(cast),
          ...asClient(jobToken(at, cast, around)),
        })
      return holding((await granted(next(world))).token, [next, open])
    },
  },
  {
    title: 'a workload token as grant (jwt-bearer)',
    behalf: 'agent',
    entry: workload,
    without: { ...OTHER_KEY, workloads: [] },
    hold: asking((world, cast, around) =>
      world.post('/token', {
        grant_type: JWT_BEARER,
        assertion: jobToken(world, cast, around),
        resource: urlOf(cast),
        authorization_details: itself(cast),
      }),
    ),
  },
  {
    title: 'a client secret',
    behalf: 'agent',
    entry: () => ({
      keys: [],
      client_secrets: [{ id: 's-1', version: '1', sha256: secret.fingerprint(), ...dated() }],
    }),
    without: { ...OTHER_KEY, client_secrets: [] },
    hold: asking((world, cast) => {
      const basic = Buffer.from(`${cast.agent}:${secret.reveal()}`).toString('base64')
      return world.post('/token', own(cast), { Authorization: `Basic ${basic}` })
    }),
  },
  {
    title: 'an API key',
    behalf: 'agent',
    entry: ({ resource }) => {
      const key = { id: 'k-1', version: '1', sha256: apiKey.fingerprint(), resources: [resource], ...dated() }
      return { keys: [], api_keys: [{ ...key, scopes: ['mcp:tools:read'] }] }
    },
    without: { ...OTHER_KEY, api_keys: [] },
    hold: asking((world, cast) =>
      world.post('/token', { ...own(cast), client_id: cast.agent }, { Authorization: `Bearer ${apiKey.reveal()}` }),
    ),
  },
  {
    title: 'client metadata',
    behalf: 'agent',
    hasUrl: true,
    entry: () => ({ keys: [], client_metadata: { version: '1' } }),
    // Its keys stay published; this entry believes none of them.
    without: { client_metadata: { version: '1', algorithms: ['RS256'] } },
    hold: asking((world, cast, { host }) => {
      const now = world.now()
      const named = { iss: cast.agent, sub: cast.agent, aud: world.issuer }
      const claims = { ...named, iat: now, exp: now + 60, jti: crypto.randomUUID() }
      const assertion = sign({ key: host.key, header: {}, claims }).reveal()
      return world.post('/token', { ...own(cast), ...asClient(assertion) })
    }),
  },
  {
    title: 'a token for the broker’s own API',
    behalf: 'api',
    hold: async (world, cast) => {
      const ask = (at: World) => at.clientCredentials(cast.agent, { resource: `${at.issuer}/api`, scope: 'sessions' })
      const { token } = await granted(ask(world))
      return { lives: async (at) => (await at.bearer('/sessions', token)).status === 200, again: [ask] }
    },
  },
]

export function castOf(flow: Flow, index: number, part: 'hit' | 'spared', { host }: Around): Cast {
  const name = `${part}-${index}`
  const agent = flow.hasUrl === true ? `${host.origin}/agents/${name}` : `agent-${name}`
  const delegate = `delegate-${name}`
  return {
    name,
    agent,
    delegate,
    sub: `user-${name}`,
    resource: `server-${name}`,
    grant: `grant-${name}`,
    aim: flow.aimsAtDelegate === true ? delegate : agent,
  }
}

/** What a cast adds to the registry. */
export function entriesOf(flow: Flow, cast: Cast, around: Around): Readonly<Record<string, readonly Entry[]>> {
  const agent = (clientId: string, more: Entry): Entry => ({
    client_id: clientId,
    owner: 'data-team',
    environment: 'development',
    grant_types: ['token-exchange', 'client_credentials', 'jwt-bearer'],
    api_scopes: ['sessions'],
    manifest: [{ server: cast.resource }],
    keys: [{ ...publicJwk(testKey(`${clientId}-key`)), version: '1' }],
    ...more,
  })
  const upstream = { corp: `${cast.agent}-at-idp` }
  const group = `group-${cast.name}`
  if (flow.hasUrl === true) {
    around.host.serve(new URL(cast.agent).pathname, around.host.document({ client_id: cast.agent }))
  }
  return {
    agents: [
      agent(cast.agent, { upstream, delegates: [cast.delegate], ...flow.entry?.(cast, around) }),
      agent(cast.delegate, {}),
    ],
    users: [{ issuer: 'corp', sub: cast.sub, groups: [group] }],
    resources: [
      {
        id: cast.resource,
        url: urlOf(cast),
        owner: 'data-team',
        project: 'analytics',
        server_client: SERVER,
        enforces: 'arguments',
        tools: { query: { category: 'read' }, list_tables: { category: 'read' } },
      },
    ],
    grants: [
      {
        id: cast.grant,
        effect: 'allow',
        principals: [{ group }],
        resources: [{ server: cast.resource }],
        reason: 'they work there',
      },
    ],
  }
}
