/** Tokens bound to a key, tried by hand: `errand exchange --dpop-key` and `errand proof`, at a broker that asks for nonces. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { errand, TOKEN_TEXT } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { details, intent, tools } from '../support/hops.ts'
import { privateJwk, testKey } from '../support/keys.ts'
import { claimsOf, patient, WAREHOUSE } from '../support/world.ts'

let directory: string
let fleet: Fleet
let broker: BrokerProcess
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-cli-dpop-'))
  const port = await freePort()
  fleet = await startFleet((at) => ({
    store: { kind: 'embedded', directory: `${at}/store` },
    settings: { issuer: `http://127.0.0.1:${port}` },
    dpop: { nonce: 'required' },
  }))
  broker = patient(await fleet.start({ port }))
  writeFileSync(path('agent.jwk.json'), JSON.stringify(privateJwk(testKey('orchestrator-key'))), { mode: 0o600 })
})
afterAll(async () => {
  await fleet?.close()
  rmSync(directory, { recursive: true, force: true })
})

const path = (name: string) => join(directory, name)
const run = (...args: string[]) => errand(args, { cwd: directory })
const exchange = (...args: string[]) =>
  run('exchange', '--client', 'orchestrator', '--issuer', fleet.issuer, '--agent-key', 'agent.jwk.json', ...args)

test('a key is made once, the nonce is asked for unseen, and the token opens nothing without its proof', async () => {
  const api = ['--resource', `${fleet.issuer}/api`, '--scope', 'sessions', '--dpop-key', 'dpop.jwk.json']
  const first = await exchange(...api, '--out', 'api.jwt')
  expect(first, first.err).toMatchObject({ code: 0, err: '' })
  expect(first.out).toMatch(/bound to +the DPoP key [\w-]{43}/)
  expect(statSync(path('dpop.jwk.json')).mode & 0o777).toBe(0o600)
  const key = readFileSync(path('dpop.jwk.json'), 'utf8')
  const again = await exchange(...api, '--token-only')
  expect(claimsOf(again.out)['cnf']).toEqual(claimsOf(readFileSync(path('api.jwt'), 'utf8'))['cnf'])
  expect(readFileSync(path('dpop.jwk.json'), 'utf8')).toBe(key)

  const url = `${fleet.issuer}/sessions`
  const token = readFileSync(path('api.jwt'), 'utf8').trim()
  const prove = (...more: string[]) =>
    run('proof', '--dpop-key', 'dpop.jwk.json', '--url', url, '--token-file', 'api.jwt', ...more)
  const send = (scheme: string, dpop: string) =>
    broker.request('/sessions', { headers: { Authorization: `${scheme} ${token}`, DPoP: dpop } })
  expect((await send('Bearer', (await prove()).out)).status).toBe(401)
  const asked = await send('DPoP', (await prove()).out)
  expect([asked.status, asked.body.error]).toEqual([401, 'use_dpop_nonce'])
  const nonce = asked.headers.get('dpop-nonce') ?? ''
  const answered = await send('DPoP', (await prove('--nonce', nonce)).out)
  expect(answered.status, JSON.stringify(answered.body)).toBe(200)
})

test('whoever forgets the key is told so, and that it is no question for the doctor', async () => {
  const idToken = broker.idToken()
  writeFileSync(path('id.jwt'), idToken)
  writeFileSync(path('intent.json'), details(intent(), tools(WAREHOUSE, { query: {} })))
  const opened = await exchange(
    ...['--subject-token-file', 'id.jwt', '--want', 'session', '--details-file', 'intent.json'],
    ...['--dpop-key', 'dpop.jwk.json', '--out', 'session.jwt'],
  )
  expect(opened, opened.err).toMatchObject({ code: 0, err: '' })
  const bare = await exchange('--subject-token-file', 'session.jwt', '--resource', WAREHOUSE)
  expect([bare.code, bare.err]).toEqual([1, expect.stringContaining('subject_token_unproven')])
  expect(bare.err).toContain('prove its key: --dpop-key FILE')
  expect(bare.err).not.toContain('doctor')
})

test('what is missing or no key is said in a line, and nothing private is', async () => {
  writeFileSync(path('rsa.jwk.json'), JSON.stringify(privateJwk(testKey('not-ours', 'RS256'))), { mode: 0o600 })
  const wrong = await exchange('--resource', `${fleet.issuer}/api`, '--dpop-key', 'rsa.jwk.json')
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('ES256')])
  const missing = await run('proof', '--dpop-key', 'dpop.jwk.json', '--url', fleet.issuer)
  expect([missing.code, missing.err]).toEqual([2, expect.stringContaining('--token-file')])
  writeFileSync(path('any.jwt'), 'a.b.c')
  const keyless = await run('proof', '--dpop-key', 'typo.jwk.json', '--url', fleet.issuer, '--token-file', 'any.jwt')
  expect([keyless.code, existsSync(path('typo.jwk.json'))]).toEqual([2, false])
  for (const { out, err } of [wrong, missing, keyless]) expect(out + err).not.toMatch(TOKEN_TEXT)
})
