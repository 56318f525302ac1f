/** Reading other people's tokens in logs, audit records, error messages and metrics: there are none to read. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { managementToken, openDeep } from '../support/hops.ts'
import { JOSE_HEADER } from '../support/jose-header.ts'
import { startWorld, TYPE, type World } from '../support/world.ts'

interface Noisy {
  readonly tokens: readonly string[]
  readonly audit: readonly string[]
  readonly statuses: readonly number[]
}

const directory = mkdtempSync(join(tmpdir(), 'errand-noise-'))
let noisy: Noisy
let output: string
beforeAll(() => {
  const file = join(directory, 'run.json')
  const script = new URL('./noisy-run.ts', import.meta.url).pathname
  const run = spawnSync(process.execPath, [script, file], { encoding: 'utf8', timeout: 30_000 })
  output = run.stdout + run.stderr
  expect(run.status, output).toBe(0)
  noisy = JSON.parse(readFileSync(file, 'utf8'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Signatures and payloads; headers are the same for many tokens and no secret. */
const secretsOf = (token: string) =>
  token
    .split('.')
    .slice(1)
    .filter((part) => part.length >= 24)

describe('a whole run, told to the operator at the noisiest level', () => {
  test('did tell something: faults are logged with their ids, so that what follows is not about silence', () => {
    expect(noisy.statuses.filter((status) => status === 200).length).toBeGreaterThan(9)
    expect(noisy.statuses).toContain(500)
    expect(noisy.statuses).toContain(503)
    expect(output).toContain('a fault that nobody expected')
    expect(noisy.audit.length).toBeGreaterThan(15)
    expect(noisy.tokens.length).toBeGreaterThan(30)
  })

  test('shows no token, and no part of one that could be used', () => {
    const places = [output, ...noisy.audit]
    for (const token of noisy.tokens) {
      for (const secret of [token, ...secretsOf(token)]) {
        for (const place of places)
          expect(place.includes(secret), `${secret.slice(0, 12)}… in ${place.slice(0, 80)}`).toBe(false)
      }
    }
  })

  test('shows no JOSE header at all, whoever’s it might be', () => {
    for (const place of [output, ...noisy.audit]) expect(place).not.toMatch(JOSE_HEADER)
  })

  test('names tokens in its records by what cannot be turned back into them', () => {
    const records = noisy.audit.map((text) => JSON.parse(text))
    const opened = records.find(({ event, outcome }) => event === 'session.open' && outcome === 'granted')
    expect(opened.subject_token).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(opened.jti).toMatch(/^jti_/)
  })
})

describe('what the agent said its work was for', () => {
  test('is in the session’s own record and nowhere in the log', () => {
    for (const place of [output, ...noisy.audit]) {
      expect(place).not.toContain('Summarise Q3 revenue')
      expect(place).not.toContain('Find the Q3 revenue figures')
    }
  })
})

describe('answers that are refusals', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  afterAll(() => world.close())

  test('repeat nothing of what was sent, though it was sent in the wrong place', async () => {
    const session = await openDeep(world)
    const management = await managementToken(world)
    const user = world.userToken()
    const requests = [
      () => world.open({ scope: session.token }),
      () => world.open({ resource: session.token }),
      () => world.open({ audience: session.token, requested_token_type: TYPE.access }),
      () => world.open({ requested_token_type: session.token }),
      () => world.open({ subject_token_type: session.token }),
      () => world.open({ agent_instance: `${session.token}!` }),
      () => world.open({ authorization_details: session.token }),
      () => world.open({ authorization_details: JSON.stringify([{ type: session.token }]) }),
      () => world.open({ grant_type: session.token }),
      () => world.open({ client_id: session.token }),
      () => world.delegate(session.token, { audience: management }),
      () => world.bearer(`/sessions/${session.token}`, management),
      () => world.bearer(`/sessions/${session.token}`, user),
      () => world.bearer(`/sessions/${session.token}`, user, 'DELETE'),
      () => world.bearer(`/sessions/${session.token}/nodes/${session.token}`, user, 'DELETE'),
      () => world.bearer(`/admin/v1/sessions/${session.token}`, management, 'DELETE'),
      () => world.bearer('/admin/v1/revocations', management, 'POST', { dimension: session.token }),
      () => world.bearer('/admin/v1/revocations', management, 'POST', { dimension: 'session', session: session.token }),
      () => world.bearer('/admin/v1/lifts', management, 'POST', { kind: 'evidence', id: `${session.token}x` }),
      () =>
        world.bearer('/admin/v1/revocations', management, 'POST', {
          dimension: 'session',
          session: 'x',
          [session.token]: 1,
        }),
    ]
    for (const [index, request] of requests.entries()) {
      const { status, body, headers } = await request()
      expect(status, `request ${index}`).toBeGreaterThanOrEqual(400)
      const told = JSON.stringify([body, [...headers]])
      for (const secret of [...secretsOf(session.token), ...secretsOf(management)]) {
        expect(told.includes(secret), `request ${index}: ${told.slice(0, 200)}`).toBe(false)
      }
    }
    await world.broker.flushAudit()
    const recorded = JSON.stringify(await world.audit(100))
    expect(recorded).not.toMatch(JOSE_HEADER)
  })

  test('a token that code prints by accident prints as [secret]', async () => {
    const { Secret } = await import('../../src/kernel/secret.ts')
    const secret = new Secret('eyJhbGciOiJub25lIn0.e30.')
    const printed = [
      String(secret),
      JSON.stringify({ secret }),
      inspect({ secret }),
      `${secret}`,
      new Error(`${secret}`).stack,
    ]
    for (const text of printed) expect(text).not.toContain('eyJ')
  })
})
