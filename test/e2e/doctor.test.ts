/** The real `errand doctor`: token in by file or pipe, verdict out by exit code, text and JSON; never a token on either side. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errand, TOKEN_TEXT } from '../support/errand-command.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { publicJwk, sign, testKey } from '../support/keys.ts'
import { registryDocument } from '../support/world.ts'

const ISSUER = 'http://127.0.0.1:4400'
let directory: string
let idp: TestIssuer
const doctor = (input: string, ...args: string[]) => errand(['doctor', ...args], { cwd: directory, input })
const now = () => Math.floor(Date.now() / 1000)

function idToken(claims: Readonly<Record<string, unknown>> = {}): string {
  const base = { sub: 'alice', aud: 'orchestrator-at-idp', iat: now() - 5, exp: now() + 3600, auth_time: now() - 10 }
  return idp.sign({ ...base, email: 'alice@corp.example', ...claims }).reveal()
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-doctor-'))
  idp = await startIssuer({ slug: 'corp' })
  mkdirSync(join(directory, 'keys'), { mode: 0o700 })
  const config = {
    issuer: ISSUER,
    listen: { port: 4400 },
    environment: 'development',
    store: { kind: 'embedded', directory: './store' },
    keys: { directory: './keys' },
    outbound: { allow_loopback: true },
  }
  writeFileSync(join(directory, 'errand.yaml'), JSON.stringify(config))
  writeFileSync(join(directory, 'registry.yaml'), JSON.stringify(registryDocument(idp)))
})
afterAll(async () => {
  await idp.close()
  rmSync(directory, { recursive: true, force: true })
})

describe('errand doctor', () => {
  test('says who an ID token would be, and every step that it has passed', async () => {
    const { code, out, err } = await doctor(idToken())
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('ID token of issuer corp, as the subject of agent orchestrator: accepted')
    expect(out).toContain('it would be user:corp:alice')
    for (const step of ['form', 'issuer', 'algorithm', 'key', 'signature', 'audience', 'times', 'meant for']) {
      expect(out).toContain(`✓ ${step}`)
    }
    expect(out).toMatch(/Not looked at: revocations/)
    expect(out).not.toMatch(TOKEN_TEXT)
    expect(out).not.toContain('alice@corp.example')
  })

  test('says of one for another application what was expected and where that is set: exit code 1', async () => {
    writeFileSync(join(directory, 'id.jwt'), `${idToken({ aud: 'another-app' })}\n`)
    const { code, out } = await doctor('', 'id.jwt', '--as', 'orchestrator')
    expect(code).toBe(1)
    expect(out).toContain('✓ signature')
    expect(out).toContain('✗ meant for')
    expect(out).toContain('· who it is')
    expect(out).toContain('subject_token_audience')
    expect(out).toContain('→ aud is another-app')
    expect(out).toContain('takes tokens for orchestrator-at-idp')
    expect(out).not.toMatch(TOKEN_TEXT)
  })

  test('prints the same as JSON', async () => {
    const { code, out } = await doctor(idToken({ sub: 'eve' }), '--json')
    const told = JSON.parse(out)
    expect([code, told.accepted, told.refused.reason]).toEqual([1, false, 'user_not_listed'])
    expect(told.steps.filter((step: { state: string }) => step.state === 'refused')).toHaveLength(1)
    expect(told.refused.advice[0]).toContain('users: [{ issuer: corp, sub: eve }]')
  })

  test('examines a client’s own assertion', async () => {
    const claims = { iss: 'researcher', sub: 'researcher', iat: now(), exp: now() + 60, jti: 'once' }
    const make = (aud: string) =>
      sign({ key: testKey('researcher-key'), header: {}, claims: { ...claims, aud } }).reveal()
    expect(await doctor(make(ISSUER))).toMatchObject({ code: 0, out: expect.stringContaining('agent:researcher') })
    const wrong = await doctor(make(`${ISSUER}/token`))
    expect(wrong.code).toBe(1)
    expect(wrong.out).toContain(`aud is ${ISSUER}/token; it must be ${ISSUER} and nothing else`)
  })

  test('asks nobody with --offline; a key set from a file stands in for the issuer’s', async () => {
    const before = idp.countRequests()
    const offline = await doctor(idToken(), '--offline')
    expect([offline.code, offline.out]).toEqual([1, expect.stringContaining('was not asked: --offline')])
    writeFileSync(join(directory, 'jwks.json'), JSON.stringify({ keys: [publicJwk(idp.key)] }))
    expect((await doctor(idToken(), '--jwks', 'jwks.json')).code).toBe(0)
    expect(idp.countRequests()).toBe(before)
  })

  test('says what went wrong at an issuer that answers badly', async () => {
    idp.misbehave((_request, response) => response.writeHead(500).end())
    const { code, out } = await doctor(idToken())
    idp.misbehave(undefined)
    expect([code, out]).toEqual([1, expect.stringContaining('answered with status 500')])
  })

  test('takes no token from the command line, and needs one from somewhere', async () => {
    const token = idToken()
    for (const args of [[token], ['--as', token]]) {
      const refused = await doctor('', ...args)
      expect([refused.code, refused.out]).toEqual([2, ''])
      expect(refused.err).not.toMatch(TOKEN_TEXT)
    }
    expect(await doctor('  \n')).toMatchObject({ code: 2, err: expect.stringContaining('there is no token in it') })
    expect(await doctor(token, '--as', 'nobody')).toMatchObject({ code: 2 })
  })
})
