/** Builds of one agent, each with a life of its own: what one may no longer do, the others still may (R009, R193–R195). */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LIFECYCLE_STATES } from '../../src/model/lifecycle.ts'
import { granted, refused } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { publicJwk, sign, testKey } from '../support/keys.ts'
import { invalidRequest } from '../support/refusal.ts'
import { registryDocument, startWorld, type World } from '../support/world.ts'

type Entry = Record<string, unknown>
let directory: string
let issuer: TestIssuer
let world: World
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-versions-'))
  issuer = await startIssuer({ slug: 'corp' })
})
afterEach(async () => {
  await world.close()
  await issuer.close()
  rmSync(directory, { recursive: true, force: true })
})

/** The orchestrator has a key for each of two versions. */
async function begin(versions: readonly Entry[], environment = 'development'): Promise<void> {
  const document = registryDocument(issuer)
  const agents = (document['agents'] as Entry[]).map((entry) => {
    if (entry['client_id'] !== 'orchestrator') return { ...entry, environment }
    const keys = ['1', '2'].map((version) => ({ ...publicJwk(testKey(`build-${version}`)), version }))
    return { ...entry, environment, keys, versions }
  })
  world = await startWorld({
    issuer,
    settings: { environment },
    store: { kind: 'embedded', directory: join(directory, 'store') },
    keysDirectory: join(directory, 'keys'),
    registry: { agents },
  })
}

let jti = 0
function by(version: string): { client_assertion: string } {
  jti += 1
  const [iat, name] = [world.now(), 'orchestrator']
  const claims = { iss: name, sub: name, aud: world.issuer, iat, exp: iat + 60, jti: `build-${version}-${jti}` }
  const header = { typ: 'client-authentication+jwt' }
  return { client_assertion: sign({ key: testKey(`build-${version}`), header, claims }).reveal() }
}

const inactive = invalidRequest('agent_inactive')

test.each(
  ['development', 'production'].flatMap((where) => LIFECYCLE_STATES.map((state) => [state, where] as const)),
)('a version that is %s, in %s, beside one that is active', async (state, where) => {
  await begin(
    [
      { version: '1', state: 'active' },
      { version: '2', state },
    ],
    where,
  )
  await granted(world.open(by('1')))
  if (state === 'active' || (state === 'testing' && where === 'development')) {
    const { claims } = await granted(world.open(by('2')))
    expect(claims.agent.version).toBe('2')
  } else await refused(world, () => world.open(by('2')), inactive)
})

test('a new version begins in testing: nobody has to say so', async () => {
  await begin(
    [
      { version: '1', state: 'active' },
      { version: '2', model: 'm-2', image_digest: `sha256:${'a'.repeat(64)}` },
    ],
    'production',
  )
  await granted(world.open(by('1')))
  const { answer } = await refused(world, () => world.open(by('2')), inactive)
  expect(answer.body.error_description).toBe('version 2 of this agent is testing')
})

test('what one that is retired has passed on ends with it, accepted or not; what another has passed on does not', async () => {
  const both = (state: string) => [
    { version: '1', state },
    { version: '2', state: 'active' },
  ]
  await begin(both('active'))
  const passedOn = async (version: string) => {
    const session = (await granted(world.open(by(version)))).token
    const delegated = async () => (await granted(world.delegate(session, by(version)))).token
    return { pending: await delegated(), held: (await granted(world.accept(await delegated()))).token }
  }
  const [old, young] = [await passedOn('1'), await passedOn('2')]
  await world.close()
  await begin(both('retired'))
  await granted(world.continue(young.held, {}, 'researcher'))
  await granted(world.accept(young.pending))
  await refused(world, () => world.continue(old.held, {}, 'researcher'), inactive)
  await refused(world, () => world.accept(old.pending), inactive)
})

test('after one was retired: its tokens are not active, its credential opens no door, and the other goes on', async () => {
  await begin([
    { version: '1', state: 'active' },
    { version: '2', state: 'active' },
  ])
  const of = async (version: string) => {
    const session = (await granted(world.open(by(version)))).token
    return { session, access: (await granted(world.continue(session, by(version)))).token }
  }
  const [old, young] = [await of('1'), await of('2')]
  await world.close()
  await begin([
    { version: '1', state: 'retired' },
    { version: '2', state: 'active' },
  ])
  expect((await world.introspect(old.access)).body).toEqual({ active: false })
  // Access tokens are asked for again by all; what the others hold them from stands.
  const again = await granted(world.continue(young.session, by('2')))
  expect((await world.introspect(again.token)).body).toMatchObject({ active: true, agent: { version: '2' } })
  await refused(world, () => world.continue(old.session, by('1')), inactive)
  await refused(
    world,
    () => world.clientCredentials('orchestrator', { ...by('1'), resource: `${world.issuer}/api` }),
    inactive,
  )
})
