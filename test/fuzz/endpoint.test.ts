/**
 * Whole token requests, genuine but for a few changes, at a real broker: never a fault, never a token for changed credentials or
 * for more than the genuine request could have had, and one record for each whose client was known.
 * `FUZZ_SEED` runs the requests of a seed that failed elsewhere again.
 */
import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Chance } from '../support/chance.ts'
import { enterpriseRegistry, idJag, JWT_BEARER } from '../support/id-jag.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import {
  claimsOf,
  DELEGATED,
  INTENT,
  type Params,
  startWorld,
  TYPE,
  WAREHOUSE,
  WIKI,
  type World,
} from '../support/world.ts'
import { seedOf } from './harness.ts'
import { mutate } from './mutate.ts'

const SEED = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31))
const MILLISECONDS = 6_000
/** Requests between two looks at the audit. */
const BATCH = 20

let world: World
let session: string
let idp: TestIssuer
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: enterpriseRegistry(idp) })
  session = (await world.opened()).session
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

type Fields = readonly (readonly [name: string, value: string])[]

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** Genuine requests, each with credentials of its own. */
const BASES: Readonly<Record<string, () => Params>> = {
  open: () => ({
    grant_type: EXCHANGE,
    subject_token: world.idToken(),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: JSON.stringify(INTENT),
    scope: 'mcp:tools:read mcp:tools:write',
  }),
  continue: () => ({
    grant_type: EXCHANGE,
    subject_token: session,
    subject_token_type: TYPE.session,
    resource: WAREHOUSE,
    agent_instance: 'pod-1',
  }),
  delegate: () => ({
    grant_type: EXCHANGE,
    subject_token: session,
    subject_token_type: TYPE.session,
    requested_token_type: TYPE.delegation,
    audience: 'researcher',
    authorization_details: JSON.stringify(DELEGATED),
  }),
  enterprise: () => ({ grant_type: JWT_BEARER, assertion: idJag(world), resource: WIKI, scope: 'mcp:tools:read' }),
  autonomous: () => ({ grant_type: 'client_credentials', resource: `${world.issuer}/api`, scope: 'sessions' }),
}

function fieldsOf(params: Params): Fields {
  return Object.entries(params).map(([name, value]) => [name, String(value)] as const)
}

function genuine(base: string): Fields {
  return fieldsOf({ ...world.authentication('orchestrator'), ...(BASES[base]?.() ?? {}) })
}

const encoded = (fields: Fields) =>
  new URLSearchParams(fields.map(([name, value]): [string, string] => [name, value])).toString()

interface Answered {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
  readonly body: any
}

async function send(body: string, type = 'application/x-www-form-urlencoded'): Promise<Answered> {
  const init = { method: 'POST', headers: { 'Content-Type': type }, body }
  const response = await world.broker.app.request('/token', init)
  const text = await response.text()
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(text).not.toMatch(/node:|\.ts:\d|at \w+ \(/)
  return { status: response.status, body: JSON.parse(text) }
}

/** Credentials, and what says what they are: changed, they are worth nothing. */
const BOUND = [
  'assertion',
  'client_assertion',
  'client_assertion_type',
  'grant_type',
  'subject_token',
  'subject_token_type',
] as const

/** What a token may at most be: the genuine client's, for the genuine subject, for what that session has. */
function checkToken(body: string, fields: Fields, answer: Answered): void {
  const sent = new URLSearchParams(body)
  for (const name of BOUND) {
    const wanted = fields.find(([field]) => field === name)?.[1]
    expect([name, sent.getAll(name)]).toEqual([name, wanted === undefined ? [] : [wanted]])
  }
  const claims = claimsOf(answer.body.access_token)
  expect(['user:corp:alice', 'agent:orchestrator']).toContain(claims['sub'])
  expect(claims['client_id'] ?? 'orchestrator').toBe('orchestrator')
  const known = ['mcp:tools:read', 'mcp:tools:write', 'sessions', 'revocations']
  expect(
    String(claims['scope'] ?? '')
      .split(' ')
      .filter((scope) => scope !== '' && !known.includes(scope)),
  ).toEqual([])
  const tools = ((claims['authorization_details'] ?? []) as { type: string; tools?: object }[]).flatMap(({ tools }) =>
    Object.keys(tools ?? {}),
  )
  expect(tools.filter((tool) => ['drop_table', 'insert_rows'].includes(tool))).toEqual([])
}

/** Records and counts since the last look. */
async function recorded(seen: Set<string>): Promise<{ known: number; strangers: number }> {
  await world.broker.flushAudit()
  let [known, strangers] = [0, 0]
  for (const record of await world.audit(100_000)) {
    if (seen.has(record.id)) continue
    seen.add(record.id)
    if (record.event !== 'strangers.refused') known += 1
    for (const [, , count] of record.strangers ?? []) strangers += count
  }
  return { known, strangers }
}

/** One request of the seed. */
async function attempt(number: number): Promise<Answered> {
  const chance = new Chance(seedOf(SEED, 'endpoint', number))
  const fields = genuine(chance.pick(Object.keys(BASES)))
  const body = chance.below(2) === 0 ? mutate([encoded(fields)], chance) : encoded(changeField(fields, chance))
  const answer = await send(body)
  const what = `FUZZ_SEED=${SEED}, request ${number}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`
  expect([200, 400, 401, 413, 429], what).toContain(answer.status)
  if (answer.status === 200) checkToken(body, fields, answer)
  else expect(answer.body.access_token, what).toBeUndefined()
  return answer
}

/** One parameter is changed in itself, dropped, doubled, or takes another's value. */
function changeField(fields: Fields, chance: Chance): Fields {
  const at = chance.below(fields.length)
  const [name, value] = fields[at] ?? ['x', '']
  const [, other] = chance.pick(fields)
  const changes: readonly (() => Fields)[] = [
    () => fields.with(at, [name, mutate([value], chance)]),
    () => fields.with(at, [name, mutate([value], chance)]),
    () => fields.filter((_, index) => index !== at),
    () => [...fields, [name, value]],
    () => [...fields, [name, other]],
    () => fields.with(at, [name, other]),
    () => fields.with(at, [mutate([name], chance), value]),
    () => fields.with(at, [name, '']),
  ]
  return chance.pick(changes)()
}

describe('requests that differ in nothing but their spelling', () => {
  const spellings: Readonly<Record<string, (fields: Fields) => string>> = {
    'as they are': encoded,
    'in another order': (fields) => encoded(fields.toReversed()),
    'with parameters nobody knows': (fields) => `a=1&${encoded([...fields, ['__proto__', 'x'], ['constructor', 'y']])}`,
    'with empty parameters': (fields) => encoded([...fields, ['actor_token', ''], ['actor_token_type', '']]),
    'with every character encoded': (fields) =>
      fields.map(([name, value]) => `${everyByte(name)}=${everyByte(value)}`).join('&'),
  }
  const everyByte = (text: string) =>
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')

  test.each(Object.keys(spellings))('%s, they are granted', async (spelling) => {
    for (const base of Object.keys(BASES)) {
      const fields = genuine(base)
      const body = (spellings[spelling] ?? encoded)(fields)
      const answer = await send(body)
      expect([base, answer.status, answer.body.error]).toEqual([base, 200, undefined])
      checkToken(body, fields, answer)
    }
  })
})

test('requests that differ in anything else are never a fault, and never worth more than the genuine one', async () => {
  const seen = new Set<string>()
  await recorded(seen)
  const until = performance.now() + MILLISECONDS
  const statuses = new Map<number, number>()
  let number = 0
  // Both kinds come about, or the inputs are of no use.
  const hasBoth = () => statuses.has(200) && statuses.has(400)
  while (performance.now() < until || !hasBoth()) {
    let known = 0
    for (let one = 0; one < BATCH; one += 1) {
      const { status, body } = await attempt(number)
      number += 1
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status === 200 || body.decision_id !== undefined) known += 1
    }
    const what = `FUZZ_SEED=${SEED}, up to request ${number}`
    expect(await recorded(seen), what).toEqual({ known, strangers: BATCH - known })
  }
})
