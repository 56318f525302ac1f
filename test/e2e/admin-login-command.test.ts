/** An admin at work from another machine: `errand admin login`, and what the commands that follow may do with it. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { errand, type Serving, serveErrand, TOKEN_TEXT } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { registryDocument } from '../support/world.ts'

let directory: string
let idp: TestIssuer
let broker: Serving
let issuer: string
const path = (name: string) => join(directory, name)
/** Where nothing of the broker's is. */
const run = (...args: string[]) => errand(args, { cwd: path('away') })

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-admin-login-'))
  idp = await startIssuer({ slug: 'corp' })
  const port = await freePort()
  issuer = `http://127.0.0.1:${port}`
  mkdirSync(path('away'))
  writeFileSync(path('registry.yaml'), JSON.stringify(registryDocument(idp)))
  writeConfiguration(port, ['viewer', 'security'])
  broker = await serveErrand(['--config', 'errand.yaml'], directory)
})
afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  await idp?.close()
  rmSync(directory, { recursive: true, force: true })
})

/** @param roles Alice's; `undefined`: she is not named */
function writeConfiguration(port: number, roles?: readonly string[]): void {
  const configuration = {
    issuer,
    listen: { port },
    environment: 'development',
    store: { kind: 'embedded', directory: './store' },
    keys: { directory: './keys' },
    outbound: { allow_loopback: true },
    dpop: { nonce: 'required' },
    admins: roles === undefined ? [] : [{ user: 'corp:alice', roles }],
  }
  writeFileSync(path('errand.yaml'), JSON.stringify(configuration))
}

let tokens = 0
/** Alice's, once; `undefined` removes a claim. */
function idToken(claims: Readonly<Record<string, unknown>> = {}): string {
  const now = Math.floor(Date.now() / 1000)
  tokens += 1
  const base = {
    sub: 'alice',
    aud: 'errand-admins',
    iat: now - 5,
    exp: now + 3600,
    auth_time: now - 10,
    nonce: `${tokens}`,
  }
  return idp.sign({ ...base, ...claims }).reveal()
}

const login = (token: string, ...more: string[]) =>
  errand(['admin', 'login', '--issuer', issuer, '--token-file', '-', ...more], { cwd: path('away'), input: token })

test('a sign-in is kept in a file of its owner’s only, is printed nowhere, and is what other commands work with', async () => {
  const token = idToken()
  const done = await login(token, '--out', 'admin.json')
  expect([done.code, done.err]).toEqual([0, ''])
  expect(done.out).toMatch(/^signed in until \S+Z: viewer, security\n {2}errand sessions --admin \S*admin\.json\n$/)
  expect(done.out).not.toMatch(TOKEN_TEXT)
  expect(statSync(path('away/admin.json')).mode & 0o777).toBe(0o600)
  expect(await run('sessions', '--admin', 'admin.json')).toMatchObject({ code: 0, err: '' })
  expect((await run('revoke', '--agent', 'researcher', '--admin', 'admin.json')).code).toBe(0)
  const audit = JSON.parse((await run('audit', '--json', '--admin', 'admin.json')).out)
  const records: { event: string; by: string }[] = audit.records ?? audit
  expect(records.filter(({ by }) => by === 'user:corp:alice').map(({ event }) => event)).toEqual(
    expect.arrayContaining(['admin.login', 'session.read', 'control.write']),
  )
  // Each token signs in once, and what was kept stays as it was.
  const kept = readFileSync(path('away/admin.json'), 'utf8')
  const again = await login(token, '--out', 'admin.json')
  expect([again.code, again.out, again.err.includes('invalid_token')]).toEqual([1, '', true])
  expect(readFileSync(path('away/admin.json'), 'utf8')).toBe(kept)
})

test('a role that was not asked for is not there, and one that one has not is not given', async () => {
  const less = await login(idToken(), '--out', 'viewer.json', '--role', 'viewer', '--json')
  expect(JSON.parse(less.out)).toMatchObject({ file: 'viewer.json', roles: ['viewer'], bound: false })
  const refused = await run('revoke', '--everything', '--admin', 'viewer.json')
  expect([refused.code, refused.err.includes('admin_forbidden')]).toEqual([1, true])
  const more = await login(idToken(), '--out', 'more.json', '--role', 'policy_admin')
  expect([more.code, more.err.includes('admin_forbidden')]).toEqual([1, true])
  expect(existsSync(path('away/more.json'))).toBe(false)
})

test('bound to a key, the sign-in is worth nothing without it; nonces are asked for unseen', async () => {
  const done = await login(idToken(), '--out', 'bound.json', '--dpop-key', 'dpop.jwk.json', '--json')
  expect([done.code, done.err]).toEqual([0, ''])
  expect(JSON.parse(done.out).bound).toBe(true)
  expect((await run('audit', '--limit', '1', '--admin', 'bound.json')).code).toBe(0)
  expect((await run('policy', 'shadow', '--admin', 'bound.json')).out).toBe('no draft is in shadow\n')
  const kept = JSON.parse(readFileSync(path('away/bound.json'), 'utf8'))
  const { dpop_key: _key, ...copied } = kept
  writeFileSync(path('away/copied.json'), JSON.stringify(copied), { mode: 0o600 })
  const stolen = await run('blocks', '--admin', 'copied.json')
  expect([stolen.code, stolen.out, stolen.err.includes('sign in again')]).toEqual([1, '', true])
  await login(idToken(), '--out', 'other.json', '--dpop-key', 'other.jwk.json')
  writeFileSync(path('away/copied.json'), JSON.stringify({ ...kept, dpop_key: path('away/other.jwk.json') }))
  expect((await run('blocks', '--admin', 'copied.json')).code).toBe(1)
})

test('who is what is read again on SIGHUP: whoever is taken out has nothing any more, and a broken file takes nobody', async () => {
  await login(idToken(), '--out', 'watched.json')
  const { port } = new URL(issuer)
  const reread = async (says: string) => {
    const before = broker.written().split(says).length
    broker.signal('SIGHUP')
    await vi.waitUntil(() => broker.written().split(says).length > before, { timeout: PATIENCE_MS, interval: 50 })
  }
  const revoke = async () => (await run('lift', '--agent', 'researcher', '--admin', 'watched.json')).err
  const looks = async () => (await run('blocks', '--admin', 'watched.json')).code
  writeConfiguration(Number(port), ['viewer'])
  await reread('admins read again')
  expect([await looks(), (await revoke()).includes('admin_forbidden')]).toEqual([0, true])
  writeFileSync(path('errand.yaml'), readFileSync(path('errand.yaml'), 'utf8').replace('"admins"', '"admin"'))
  await reread('admins not read')
  expect(await looks()).toBe(0)
  writeConfiguration(Number(port), [])
  await reread('admins not read')
  writeConfiguration(Number(port))
  await reread('admins read again')
  expect([await looks(), (await login(idToken(), '--out', 'none.json')).err.includes('admin_forbidden')]).toEqual([
    1,
    true,
  ])
  writeConfiguration(Number(port), ['viewer', 'security'])
  await reread('admins read again')
  expect(await looks()).toBe(0)
})

test.each<readonly [string, () => Promise<string[]>, string]>([
  ['no file', async () => ['--admin', 'none.json'], 'cannot be read'],
  ['a file that others can read', async () => ['--admin', await copy({}, 0o640)], 'mode 640 lets others'],
  [
    'a file that says more',
    async () => ['--admin', await copy({ roles: ['security'] })],
    'not what errand admin login',
  ],
  ['a file that says less', async () => ['--admin', await copy({ token: undefined })], 'not what errand admin login'],
  ['a time that is over', async () => ['--admin', await copy({ expires_at: 1 })], 'ended at 1970-01-01T00:00:01Z'],
  ['a broker in the clear', async () => ['--admin', await copy({ broker: 'http://broker.example' })], 'must be https'],
  ['another name', async () => ['--admin', await copy({}), '--name', 'carol'], '--name goes without --admin'],
  ['another broker', async () => ['--admin', await copy({}), '--broker', issuer], '--broker goes without --admin'],
])('commands refuse %s', async (_what, args, says) => {
  const refused = await run('blocks', ...(await args()))
  expect([refused.code === 0, refused.out]).toEqual([false, ''])
  expect(refused.err).toContain(says)
  expect(refused.err).not.toMatch(TOKEN_TEXT)
})

async function copy(change: object, mode = 0o600): Promise<string> {
  if (!existsSync(path('away/kept.json'))) await login(idToken(), '--out', 'kept.json')
  const kept = JSON.parse(readFileSync(path('away/kept.json'), 'utf8'))
  writeFileSync(path('away/copy.json'), JSON.stringify({ ...kept, ...change }))
  chmodSync(path('away/copy.json'), mode)
  return 'copy.json'
}

test('a token of somebody else, an empty one, and one on the command line sign nobody in', async () => {
  for (const claims of [{ sub: 'bob' }, { aud: 'errand-users' }, { auth_time: 1 }]) {
    expect(await login(idToken(claims), '--out', 'no.json')).toMatchObject({ code: 1, out: '' })
  }
  expect((await login(' \n', '--out', 'no.json')).err).toContain('no token was piped in')
  const typed = await run('admin', 'login', '--issuer', issuer, '--token-file', idToken(), '--out', 'no.json')
  expect([typed.code, typed.err.includes('command line')]).toEqual([2, true])
  const clear = await run(
    'admin',
    'login',
    '--issuer',
    'http://errand.example',
    '--token-file',
    '-',
    '--out',
    'no.json',
  )
  expect(clear.err).toContain('must be https')
  expect(existsSync(path('away/no.json'))).toBe(false)
})
