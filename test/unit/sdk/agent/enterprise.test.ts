/** MCP Enterprise-Managed Authorization, the agent's end: where an ID-JAG comes from, where it goes, and where it must not. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type AgentOptions,
  BrokerUnavailable,
  type EnterpriseUser,
  IdpRefused,
  IdpUnavailable,
  NotTrusted,
  OutsideIntent,
  privateKeyJwt,
  Refused,
} from '../../../../src/sdk/agent/agent.ts'
import { BrokerRefused, type FormAnswer, type FormDoor, type JsonDoor } from '../../../../src/sdk/broker/http.ts'
import { type AgentWorld, agentWorld, READ, toolCall, WRITE } from '../../../support/agent-world.ts'
import { holderKey } from '../../../support/dpop.ts'
import { enterpriseRegistry, idJag, JWT_BEARER } from '../../../support/id-jag.ts'
import { startIssuer, type TestIssuer } from '../../../support/issuer.ts'
import { privateJwk, testKey } from '../../../support/keys.ts'
import { claimsOf, SLACK, startWorld, TYPE, WAREHOUSE, type World } from '../../../support/world.ts'

const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'
const INTENT = {
  purpose: 'Keep the warehouse in order',
  tools: { [WAREHOUSE]: { query: {}, list_tables: {}, insert_rows: {} } },
} as const

let idp: TestIssuer
let world: World
let here: AgentWorld
/** Everything that anybody was sent in a form, in order. */
let posted: { readonly url: string; readonly form: URLSearchParams; readonly proof: string | undefined }[]
/** Of the identity provider, in place of an ID-JAG. */
let idpSays: ((form: URLSearchParams) => Response | undefined) | undefined

beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: enterpriseRegistry(idp) })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})
beforeEach(() => {
  posted = []
  idpSays = undefined
  here = agentWorld(world, { warehouse: WAREHOUSE })
})

const jag = (claims: Readonly<Record<string, unknown>> = {}, header: Readonly<Record<string, unknown>> = {}) =>
  idJag(world, { resource: WAREHOUSE, scope: `${READ} ${WRITE}`, ...claims }, header)

async function answerOf(response: Response): Promise<FormAnswer> {
  const text = await response.text()
  return { status: response.status, text, header: (name) => response.headers.get(name) ?? undefined }
}

/** The enterprise's identity provider: its metadata and token endpoint, and the world's broker behind the usual doors. */
function doors(): Pick<AgentOptions, 'door' | 'forms'> {
  const { door: brokerDoor, forms: brokerForms } = here.doors
  const door: JsonDoor = async (request) => {
    if (!request.url.startsWith(idp.url)) return brokerDoor(request)
    if (!request.url.endsWith('/openid-configuration')) throw new BrokerRefused(404)
    return JSON.stringify({ issuer: idp.url, token_endpoint: `${idp.url}/token` })
  }
  const forms: FormDoor = async (request) => {
    const { url, form, headers } = request
    posted.push({ url, form: new URLSearchParams(form), proof: headers?.['dpop'] })
    if (url !== `${idp.url}/token`) return brokerForms(request)
    const scope = form.get('scope') ?? READ
    const given = () =>
      Response.json({ access_token: jag({ scope }), issued_token_type: ID_JAG, token_type: 'N_A', expires_in: 300 })
    return answerOf(idpSays?.(form) ?? given())
  }
  return { door, forms }
}

const CREDENTIAL = privateKeyJwt({ clientId: 'orchestrator', key: privateJwk(testKey('orchestrator-key')) })
const AT_IDP = privateKeyJwt({ clientId: 'orchestrator-at-idp', key: privateJwk(holderKey()) })

const agent = (options: Partial<AgentOptions> = {}) =>
  here.agent('orchestrator', { credential: CREDENTIAL, ...doors(), ...options })
const alice = (options: Partial<AgentOptions> = {}, more: object = {}): EnterpriseUser =>
  agent(options).enterpriseUser({
    idp: { issuer: idp.url, credential: AT_IDP },
    idToken: () => world.idToken(),
    intent: INTENT,
    ...more,
  })
const brought = (bring: () => string) => agent().enterpriseUser({ idJag: bring, intent: INTENT })
const caught = (promise: Promise<unknown>) => promise.then(() => undefined).catch((one: unknown) => one)
const to = (url: string) => posted.filter((one) => one.url === url).map(({ form }) => form)
const redeemed = () => to(`${world.issuer}/token`)
const exchanged = () => to(`${idp.url}/token`)

describe('from a user’s ID token to a call', () => {
  test('asks the provider for an ID-JAG of the pair (EMA §4), with its own credential there, and redeems it at the broker', async () => {
    const user = alice()
    const response = await user.fetch(WAREHOUSE, toolCall('query'))
    expect(response.status).toBe(200)
    const claims = claimsOf((here.called.at(-1)?.authorization ?? '').slice('Bearer '.length))
    expect(claims).toMatchObject({ aud: WAREHOUSE, sub: 'user:corp:alice', client_id: 'orchestrator' })
    const [asked] = exchanged()
    expect(Object.fromEntries(asked ?? [])).toMatchObject({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      requested_token_type: ID_JAG,
      subject_token_type: TYPE.id,
      audience: world.issuer,
      resource: WAREHOUSE,
    })
    const assertion = claimsOf(asked?.get('client_assertion') ?? '')
    expect(assertion).toMatchObject({ iss: 'orchestrator-at-idp', aud: idp.url })
    const [form] = redeemed()
    expect(form?.get('grant_type')).toBe(JWT_BEARER)
    expect(form?.get('resource')).toBe(WAREHOUSE)
    expect(claimsOf(form?.get('client_assertion') ?? '')).toMatchObject({ iss: 'orchestrator', aud: world.issuer })
  })

  test('the ID token goes to the provider alone, the ID-JAG to the broker alone, and neither to a server', async () => {
    const user = alice()
    await user.fetch(WAREHOUSE, toolCall('query'))
    await user.fetch('https://elsewhere.example/mcp', toolCall('query'))
    const idToken = exchanged()[0]?.get('subject_token') ?? ''
    const assertion = redeemed()[0]?.get('assertion') ?? ''
    expect(posted.filter(({ form }) => form.toString().includes(idToken)).map(({ url }) => url)).toEqual([
      `${idp.url}/token`,
    ])
    const carried = posted.filter(({ form }) => form.toString().includes(assertion)).map(({ url }) => url)
    expect(carried).toEqual([`${world.issuer}/token`])
    for (const { authorization } of here.called) {
      expect(authorization ?? '').not.toContain(idToken)
      expect(authorization ?? '').not.toContain(assertion)
    }
    expect(JSON.stringify(user)).not.toContain(idToken)
  })

  test('once for a hundred calls at a time; another user of the same agent is asked for anew, and gets their own', async () => {
    const shared = agent()
    const by = (sub: string) => shared.enterpriseUser({ idJag: () => jag({ sub }), intent: INTENT })
    const [one, other] = [by('alice'), by('bob')]
    await Promise.all(Array.from({ length: 100 }, () => one.token({ resource: WAREHOUSE })))
    expect(redeemed()).toHaveLength(1)
    const subjectOf = async (user: EnterpriseUser) =>
      claimsOf((await user.token({ resource: WAREHOUSE, scope: READ })).secret.reveal())['sub']
    expect(await subjectOf(other)).toBe('user:corp:bob')
    expect(await subjectOf(one)).toBe('user:corp:alice')
  })

  test('each access token costs a new ID-JAG, and a new ID token where a function gives one', async () => {
    let signIns = 0
    const idToken = () => {
      signIns += 1
      return world.idToken()
    }
    const user = alice({}, { idToken })
    user.rejected(await user.token({ resource: WAREHOUSE }))
    await user.token({ resource: WAREHOUSE })
    expect(signIns).toBe(2)
    expect(new Set(redeemed().map((form) => form.get('assertion'))).size).toBe(2)
  })

  test('step-up asks the provider and the broker for what the server wants beside what is held, once', async () => {
    const user = alice({}, { startWith: { [WAREHOUSE]: READ } })
    expect((await user.fetch(WAREHOUSE, toolCall('query'))).status).toBe(200)
    expect((await user.fetch(WAREHOUSE, toolCall('insert_rows', { rows: [] }))).status).toBe(200)
    expect(exchanged().map((form) => form.get('scope'))).toEqual([READ, `${READ} ${WRITE}`])
    expect(redeemed().map((form) => form.get('scope'))).toEqual([READ, `${READ} ${WRITE}`])
  })

  test('bound tokens: the provider and the broker see the same key’s proof', async () => {
    const user = alice({ dpop: true })
    expect((await user.token({ resource: WAREHOUSE })).type).toBe('DPoP')
    expect(posted.map(({ proof }) => claimsOf(proof ?? '')['htu'])).toEqual([
      `${idp.url}/token`,
      `${world.issuer}/token`,
    ])
  })
})

describe('what is brought is looked at before it is sent', () => {
  test.each<[string, () => string]>([
    ['one for another authorization server', () => jag({ aud: 'https://other.example' })],
    ['one for two, of which one is the broker', () => jag({ aud: [world.issuer, 'https://other.example'] })],
    ['one for another resource', () => jag({ resource: SLACK })],
    ['one for no resource', () => jag({ resource: undefined })],
    ['an ID token', () => world.idToken()],
    ['an access token', () => jag({}, { typ: 'at+jwt' })],
    ['something that is no JWT', () => 'opaque'],
    ['nothing', () => ''],
  ])('%s is not sent', async (_what, bring) => {
    const error = await caught(brought(bring).token({ resource: WAREHOUSE }))
    expect(error).toBeInstanceOf(NotTrusted)
    expect(String(error)).not.toContain(bring().slice(0, 40) || 'eyJ')
    expect(posted).toEqual([])
  })

  test('the same from the provider itself', async () => {
    idpSays = () => Response.json({ access_token: world.idToken(), token_type: 'N_A' })
    expect(await caught(alice().token({ resource: WAREHOUSE }))).toBeInstanceOf(NotTrusted)
    expect(redeemed()).toEqual([])
  })

  test.each([
    ['a scope that is none', { access_token: 'opaque', token_type: 'N_A', scope: '"' }],
    ['no token', { token_type: 'N_A' }],
    ['a list', ['opaque']],
  ])('an answer of the provider with %s is not trusted', async (_what, body) => {
    idpSays = () => Response.json(body)
    expect(await caught(alice().token({ resource: WAREHOUSE }))).toBeInstanceOf(NotTrusted)
    expect(redeemed()).toEqual([])
  })

  test('one that was redeemed already is not sent again (EMA §7.4.2)', async () => {
    const same = jag()
    const user = brought(() => same)
    user.rejected(await user.token({ resource: WAREHOUSE }))
    expect(await caught(user.token({ resource: WAREHOUSE }))).toBeInstanceOf(NotTrusted)
    expect(redeemed()).toHaveLength(1)
  })

  test('what a broker that is busy was sent is not sent again either: the next attempt has a new one', async () => {
    let attempts = 0
    const forms: FormDoor = async (request) => {
      attempts += 1
      if (attempts > 1) return doors().forms?.(request) ?? answerOf(new Response(null, { status: 500 }))
      posted.push({ url: request.url, form: new URLSearchParams(request.form), proof: undefined })
      return answerOf(new Response('', { status: 503, headers: { 'retry-after': '1' } }))
    }
    const user = agent({ forms, wait: async () => undefined }).enterpriseUser({ idJag: () => jag(), intent: INTENT })
    await user.token({ resource: WAREHOUSE })
    expect(new Set(redeemed().map((form) => form.get('assertion'))).size).toBe(2)
  })
})

describe('who has refused is known', () => {
  const says = (error: string, status = 400) => Response.json({ error, error_description: `no: ${error}` }, { status })

  test('a sign-in that the provider does not take: IdpRefused, also in a step-up, and asked again after the next sign-in', async () => {
    const user = alice({}, { startWith: { [WAREHOUSE]: READ } })
    await user.fetch(WAREHOUSE, toolCall('query'))
    idpSays = () => says('invalid_request')
    const error = await caught(user.fetch(WAREHOUSE, toolCall('insert_rows', { rows: [] })))
    expect(error).toBeInstanceOf(IdpRefused)
    expect(error).toMatchObject({ idp: idp.url, isOfTarget: false })
    expect(String(error)).toContain(`${idp.url} gives no ID-JAG`)
    idpSays = undefined
    expect((await user.fetch(WAREHOUSE, toolCall('insert_rows', { rows: [] }))).status).toBe(200)
  })

  test('a scope that it does not give: outside what is declared, and not asked again', async () => {
    const user = alice({}, { startWith: { [WAREHOUSE]: READ } })
    await user.fetch(WAREHOUSE, toolCall('query'))
    idpSays = () => says('invalid_scope')
    const call = () => caught(user.fetch(WAREHOUSE, toolCall('insert_rows', { rows: [] })))
    expect(await call()).toBeInstanceOf(OutsideIntent)
    expect(await call()).toBeInstanceOf(OutsideIntent)
    expect(exchanged()).toHaveLength(2)
  })

  test('a provider that is away is not a broker that is, but nobody can say either way', async () => {
    idpSays = () => new Response('', { status: 503 })
    const error = await caught(alice().token({ resource: WAREHOUSE }))
    expect(error).toBeInstanceOf(IdpUnavailable)
    here.away = true
    idpSays = undefined
    const other = await caught(alice().token({ resource: WAREHOUSE }))
    expect(other).toBeInstanceOf(BrokerUnavailable)
    expect(other).not.toBeInstanceOf(IdpUnavailable)
  })

  test('the broker’s own refusal is Refused, with its reason', async () => {
    const error = await caught(brought(() => jag({ client_id: 'researcher' })).token({ resource: WAREHOUSE }))
    expect(error).toBeInstanceOf(Refused)
    expect(error).not.toBeInstanceOf(IdpRefused)
    expect((error as Refused).facts.error).toBe('invalid_grant')
  })

  test('a provider on plain http is nobody’s provider', () => {
    const idpElsewhere = { issuer: 'http://idp.example', credential: AT_IDP }
    expect(() => agent().enterpriseUser({ idp: idpElsewhere, idToken: 'x' })).toThrow(TypeError)
  })
})

test('a server that nobody has named gets a token where its metadata name it and the broker', async () => {
  const user = alice({}, { intent: INTENT, resources: [] })
  expect((await user.fetch(WAREHOUSE, toolCall('query'))).status).toBe(200)
  expect(here.called.map(({ status }) => status)).toEqual([401, 200])
})
