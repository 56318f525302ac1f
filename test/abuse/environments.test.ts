/** Environments do not mix: what one has issued is dead in another, though both have the same keys, store and registry. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { granted, refused } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { invalidRequest } from '../support/refusal.ts'
import { startWorld, type World } from '../support/world.ts'

let directory: string
let issuer: TestIssuer
let world: World
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-environments-'))
  issuer = await startIssuer({ slug: 'corp' })
})
afterEach(async () => {
  await world.close()
  await issuer.close()
  rmSync(directory, { recursive: true, force: true })
})

async function begin(environment: string): Promise<void> {
  world = await startWorld({
    issuer,
    settings: { environment },
    store: { kind: 'embedded', directory: join(directory, 'store') },
    keysDirectory: join(directory, 'keys'),
  })
}

test('access tokens, API tokens, sessions and delegations', async () => {
  await begin('development')
  const { session, delegation, access } = await world.held()
  const api = { scope: 'sessions', resource: `${world.issuer}/api` }
  const own = (await granted(world.clientCredentials('orchestrator', api))).token
  expect((await world.introspect(access)).body.active).toBe(true)
  expect((await world.bearer('/sessions', own)).status).toBe(200)
  await world.close()

  await begin('staging')
  expect((await world.introspect(access)).body).toEqual({ active: false })
  expect((await world.bearer('/sessions', own)).status).toBe(401)
  const elsewhere = invalidRequest('subject_token_revoked')
  await refused(world, () => world.continue(session), elsewhere)
  await refused(world, () => world.accept(delegation), elsewhere)
  await world.close()

  await begin('development')
  expect((await world.introspect(access)).body.active).toBe(true)
  await granted(world.continue(session))
})
