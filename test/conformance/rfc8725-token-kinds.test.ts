/**
 * RFC 8725 §3.11–3.12, cross-JWT confusion: every kind of token in every place that takes one. Each place takes exactly the
 * kinds written beside it; the whole table is walked, so that a kind nobody thought of cannot be forgotten.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { details, granted, intent, managementToken, openAccess, refused, tools } from '../support/hops.ts'
import { enterpriseRegistry, idJag, invalidGrant, redeem } from '../support/id-jag.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { invalidClient, invalidRequest, type Refusal } from '../support/refusal.ts'
import { type Answer, INTENT, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

const KINDS = [
  'id token',
  'identity provider access token',
  'user token for the broker',
  'access token',
  'API token',
  'session token',
  'delegation token',
  'management token',
  'client assertion',
  'actor token',
  'ID-JAG',
  'ID-JAG of ours',
] as const
type Kind = (typeof KINDS)[number]

let idp: TestIssuer
let world: World
/** Made once: what is presented in the wrong place must be good in its own. */
const made = new Map<Kind, string>()
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: document(idp) })
  const session = (await world.opened()).session
  made.set('session token', session)
  made.set('delegation token', (await granted(world.delegate(session))).token)
  made.set('access token', (await granted(openAccess(world))).token)
  made.set('API token', await world.apiToken())
  made.set('id token', world.idToken({ jti: 'a token of its own' }))
  made.set('identity provider access token', world.idpAccessToken())
  made.set('user token for the broker', world.userToken())
  made.set('management token', await managementToken(world))
  const asked = { requested_token_type: ID_JAG, audience: 'https://as.example', resource: THEIRS }
  const authorization_details = details(intent(), tools(THEIRS, { read: {} }))
  made.set('ID-JAG of ours', (await granted(world.open({ ...asked, authorization_details }))).token)
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

/** A client's own tokens are for one use: each case gets a new one. */
function of(kind: Kind, client = 'orchestrator'): string {
  if (kind === 'client assertion') return world.assertion(client)
  if (kind === 'ID-JAG') return idJag(world)
  if (kind === 'actor token') return world.assertion(client, {}, { typ: 'JWT' })
  return made.get(kind) ?? ''
}

const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'
const THEIRS = 'https://theirs.example/mcp'

/** One that takes ID-JAGs, and mints them. */
function document(idp: TestIssuer): Record<string, unknown> {
  const known = enterpriseRegistry(idp)
  const theirs = {
    id: 'theirs',
    url: THEIRS,
    owner: 'them',
    authorization_server: 'as',
    tools: { read: { category: 'read' } },
  }
  return {
    ...known,
    authorization_servers: [{ issuer: 'https://as.example', slug: 'as', clients: { orchestrator: 'o' } }],
    resources: [...(known['resources'] as object[]), theirs],
  }
}

interface Place {
  readonly name: string
  readonly takes: readonly Kind[]
  present(token: string, kind: Kind): Promise<Answer>
  /** What every other kind is answered with. */
  refusal(kind: Kind): Refusal
}

const exchange = (type: string, token: string, kind: Kind) =>
  world.exchange(kind === 'delegation token' ? 'researcher' : 'orchestrator', {
    subject_token: token,
    subject_token_type: type,
    ...(type === TYPE.session || type === TYPE.delegation
      ? { resource: WAREHOUSE }
      : { requested_token_type: TYPE.session, authorization_details: JSON.stringify(INTENT) }),
  })

/** Ours are told where they belong; of foreign and self-made ones, what is wrong with them. */
const OURS: readonly Kind[] = [
  'access token',
  'API token',
  'session token',
  'delegation token',
  'management token',
  'ID-JAG of ours',
]
const ASSERTED: readonly Kind[] = ['client assertion', 'actor token']

function asUserToken(kind: Kind): RejectionReason {
  if (OURS.includes(kind)) return 'subject_token_presenter'
  if (ASSERTED.includes(kind)) return 'subject_issuer_unknown'
  return kind === 'user token for the broker' ? 'subject_token_audience' : 'subject_token_wrong_type'
}

function asHandle(kind: Kind): RejectionReason {
  // By key class before anything else: what another class, or somebody else, has signed is nothing we made.
  const internal: readonly Kind[] = ['session token', 'delegation token', 'management token']
  return internal.includes(kind) ? 'subject_token_wrong_type' : 'subject_token_signature'
}

const bearer = (path: string) => (token: string) => world.bearer(path, token)
const badBearer: Refusal = { status: 401, error: 'invalid_token', reason: 'bearer_invalid', stranger: true }

const PLACES: readonly Place[] = [
  {
    name: 'subject_token of type id_token',
    takes: ['id token'],
    present: (token, kind) => exchange(TYPE.id, token, kind),
    refusal: (kind) => invalidRequest(asUserToken(kind)),
  },
  {
    name: 'subject_token of type access_token',
    takes: ['identity provider access token'],
    present: (token, kind) => exchange(TYPE.access, token, kind),
    refusal: (kind) =>
      invalidRequest(kind === 'user token for the broker' ? 'subject_token_wrong_type' : asUserToken(kind)),
  },
  {
    name: 'subject_token of type session',
    takes: ['session token'],
    present: (token, kind) => exchange(TYPE.session, token, kind),
    refusal: (kind) => invalidRequest(asHandle(kind)),
  },
  {
    name: 'subject_token of type delegation',
    takes: ['delegation token'],
    present: (token, kind) => exchange(TYPE.delegation, token, kind),
    refusal: (kind) => invalidRequest(asHandle(kind)),
  },
  {
    name: 'actor_token',
    takes: ['actor token'],
    present: (token) => world.open({ actor_token: token, actor_token_type: TYPE.jwt }),
    refusal: (kind) => invalidRequest(ASSERTED.includes(kind) ? 'actor_token_unacceptable' : 'actor_mismatch'),
  },
  {
    name: 'client_assertion',
    takes: ['client assertion', 'actor token'],
    present: (token) => world.open({ client_assertion: token }),
    refusal: () => invalidClient('client_unknown'),
  },
  {
    name: 'the assertion of jwt-bearer',
    takes: ['ID-JAG'],
    present: (token) => redeem(world, token),
    refusal: (kind) => {
      if (OURS.includes(kind)) return invalidGrant('subject_token_presenter')
      return invalidGrant(ASSERTED.includes(kind) ? 'subject_issuer_unknown' : 'subject_token_wrong_type')
    },
  },
  {
    name: 'the bearer of the sessions API',
    takes: ['API token', 'user token for the broker'],
    present: bearer('/sessions'),
    refusal: () => badBearer,
  },
  {
    name: 'the bearer of the admin API',
    takes: ['management token'],
    present: bearer('/admin/v1/sessions'),
    refusal: () => badBearer,
  },
]

const table = PLACES.flatMap((place) => KINDS.map((kind) => [kind, place] as const))

test.each(
  table.map(([kind, place]) => [kind, place.name, place] as const),
)('RFC 8725 §3.12 the %s as %s', async (kind, _name, place) => {
  const request = () => place.present(of(kind), kind)
  if (!place.takes.includes(kind)) {
    await refused(world, request, place.refusal(kind))
    return
  }
  const answer = await request()
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
})

test.each(
  KINDS.filter((kind) => kind !== 'access token'),
)('RFC 7662 §2.2 the %s is not active for a resource server', async (kind) => {
  expect((await world.introspect(of(kind))).body).toEqual({ active: false })
})

test('RFC 7009 §2.2.1 of our own kinds, the API token and the management token are of a type that cannot be revoked', async () => {
  for (const kind of ['API token', 'management token'] as const) {
    await refused(world, () => world.revoke(of(kind)), {
      status: 400,
      error: 'unsupported_token_type',
      reason: 'token_type_not_revocable',
    })
  }
})

test.each([
  'id token',
  'identity provider access token',
  'client assertion',
] as const)('RFC 7009 §2.2 the %s, which this broker never issued, is nothing to revoke and no error', async (kind) => {
  const { status, body } = await world.revoke(of(kind))
  expect([status, body.revoked]).toEqual([200, undefined])
})
