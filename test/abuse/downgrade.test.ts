/**
 * Asking for less ceremony and getting more authority: leaving out, emptying or doubling parameters until a delegated request
 * becomes something else (Keycloak CVE-2026-9704, CVE-2026-18570, RFC 8693 §1.1, checklist 35).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { details, granted, intent, openDeep, refused, tools } from '../support/hops.ts'
import { invalidDetails, invalidRequest, invalidTarget, toStranger } from '../support/refusal.ts'
import { INTENT, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const missing = toStranger(invalidRequest('parameter_missing'))

describe('a parameter that is missing never changes what a request is', () => {
  test.each([
    ['left out', undefined],
    ['empty', ''],
  ])('subject_token %s: not a request of the agent for itself', async (_how, subject_token) => {
    await refused(world, () => world.open({ subject_token }), missing)
    await refused(
      world,
      () => world.open({ subject_token, resource: WAREHOUSE, requested_token_type: TYPE.access }),
      missing,
    )
  })

  test.each([
    ['left out', undefined],
    ['empty', ''],
  ])('subject_token_type %s: the kind is not guessed from the token', async (_how, subject_token_type) => {
    await refused(world, () => world.open({ subject_token_type }), missing)
  })

  test('grant_type client_credentials with a subject_token: the user’s token is not used, and nobody is impersonated', async () => {
    const alone = details(intent({ origin: { type: 'schedule' } }), tools(WAREHOUSE, { list_tables: {} }))
    const { claims } = await granted(
      world.clientCredentials('orchestrator', {
        resource: WAREHOUSE,
        authorization_details: alone,
        subject_token: world.idToken(),
        subject_token_type: TYPE.id,
        requested_token_type: TYPE.session,
      }),
    )
    expect(claims.sub).toBe('agent:orchestrator')
    expect(claims).not.toHaveProperty('act')
    expect(claims.aud).toBe(WAREHOUSE)
  })

  test('an actor_token that is empty is no actor_token, and the agent is the actor all the same', async () => {
    const { claims } = await granted(world.open({ actor_token: '', actor_token_type: '' }))
    expect(claims.act.sub).toBe('agent:orchestrator')
  })

  test('an actor_token of another agent does not make it the actor, nor is it dropped', async () => {
    const actor_token = world.assertion('researcher', {}, { typ: 'JWT' })
    const request = () => world.open({ actor_token, actor_token_type: TYPE.jwt })
    await refused(world, request, invalidRequest('actor_mismatch'))
  })

  test('a broken actor_token is refused, not ignored', async () => {
    const actor_token = world.assertion('orchestrator', { aud: 'https://elsewhere.example' }, { typ: 'JWT' })
    const request = () => world.open({ actor_token, actor_token_type: TYPE.jwt })
    await refused(world, request, invalidRequest('actor_token_unacceptable'))
  })

  test('authorization_details that are empty are absent, and fall under the standing intent, never under everything', async () => {
    const { claims } = await granted(world.open({ authorization_details: '' }))
    expect(claims.authorization_details).toHaveLength(1)
    expect(claims.scope).toBe('mcp:tools:read')
    await refused(world, () => world.open({ authorization_details: '[]' }), toStranger(invalidDetails('details_empty')))
  })

  test('a delegation without audience is refused, not turned into something else', async () => {
    const { token } = await openDeep(world)
    await refused(world, () => world.delegate(token, { audience: undefined }), invalidRequest('target_missing'))
  })

  test('an access token without a resource is refused, not made for all of them', async () => {
    const { token } = await openDeep(world)
    await refused(world, () => world.continue(token, { resource: undefined }), invalidRequest('target_missing'))
  })
})

describe('a parameter that is doubled is refused, whichever of the two one would rather have had', () => {
  const twice: readonly (readonly [string, (one: string) => string])[] = [
    ['subject_token', (one) => one],
    ['subject_token_type', () => TYPE.access],
    ['requested_token_type', () => TYPE.access],
    ['scope', () => 'mcp:tools:read'],
    ['authorization_details', () => JSON.stringify(INTENT)],
    ['grant_type', () => 'client_credentials'],
    ['client_assertion', () => world.assertion('orchestrator')],
  ]
  test.each(twice)('RFC 6749 §3.2 %s twice', async (name, other) => {
    const now: Readonly<Record<string, string>> = {
      subject_token: world.idToken(),
      subject_token_type: TYPE.id,
      requested_token_type: TYPE.session,
      scope: 'mcp:tools:write',
      authorization_details: JSON.stringify(INTENT),
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      client_assertion: world.assertion('orchestrator'),
    }
    const first = now[name] ?? ''
    const request = () => world.open({ ...now, [name]: [first, other(first)] })
    await refused(world, request, toStranger(invalidRequest('parameter_duplicated')))
  })
})

describe('two targets are never served by halves', () => {
  test('one resource of the session and one outside it', async () => {
    const { token } = await openDeep(world)
    const asking = { resource: [WAREHOUSE, 'https://calendar.example/mcp'] }
    await refused(world, () => world.continue(token, asking), invalidTarget('target_ambiguous'))
  })

  test('one registered and one unknown', async () => {
    const { token } = await openDeep(world)
    const asking = { resource: [WAREHOUSE, 'https://nowhere.example/mcp'] }
    await refused(world, () => world.continue(token, asking), invalidTarget('resource_unknown'))
  })

  test('one sub-agent and another', async () => {
    const { token } = await openDeep(world)
    const asking = { audience: ['researcher', 'orchestrator-twin'] }
    await refused(world, () => world.delegate(token, asking), invalidTarget('target_ambiguous'))
  })

  test('the API and an MCP server in one request', async () => {
    const asking = { resource: [`${world.issuer}/api`, WAREHOUSE] }
    await refused(world, () => world.clientCredentials('orchestrator', asking), invalidTarget('target_ambiguous'))
  })
})

describe('the broker itself is no target', () => {
  test.each(['/api', '/admin', '', '/token'])('of a session: %s', async (path) => {
    const { token } = await openDeep(world)
    const { status, body } = await world.continue(token, { resource: `${world.issuer}${path}` })
    expect([status, body.error]).toEqual([400, 'invalid_target'])
  })

  test('the admin API is no target of client_credentials either (H57)', async () => {
    const { status, body } = await world.clientCredentials('orchestrator', { resource: `${world.issuer}/admin` })
    expect([status, body.access_token]).toEqual([400, undefined])
  })

  test.each([
    'urn:ietf:params:oauth:token-type:refresh_token',
    'urn:errand:token-type:management',
  ])('no request makes a token of type %s', async (requested_token_type) => {
    const request = () => world.open({ requested_token_type })
    await refused(world, request, toStranger(invalidRequest('requested_token_type_unsupported')))
  })
})
