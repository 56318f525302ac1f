import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errand, type Ran, type Serving, serveErrand, TOKEN_TEXT } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { claimsOf } from '../support/world.ts'

// Each command is a process of its own, and the machine may be busy.
const WAREHOUSE = 'https://warehouse.example/mcp'
const ORCHESTRATOR = 'report-agent'

let directory: string
let idp: TestIssuer
let broker: Serving
let port: number

/** Runs in the broker's directory, where errand.yaml is. */
const run = (...args: string[]): Promise<Ran> => errand(args, { cwd: directory })
const piped = (input: string, ...args: string[]): Promise<Ran> => errand(args, { cwd: directory, input })
const path = (name: string): string => join(directory, name)
const mode = (name: string): number => statSync(path(name)).mode & 0o777
const listSessions = async (): Promise<{ session: string; state: string; agent: string }[]> =>
  JSON.parse((await run('sessions', '--json')).out).sessions

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-cli-'))
  port = await freePort()
  idp = await startIssuer({ slug: 'corp' })
  const init = await run(
    ...[
      'init',
      '--yes',
      '--issuer',
      `http://127.0.0.1:${port}`,
      '--agent',
      ORCHESTRATOR,
      '--owner',
      'alice@corp.example',
    ],
    ...['--idp-issuer', idp.url, '--idp-jwks', `${idp.url}/jwks`, '--idp-slug', 'corp', '--user', 'alice'],
    ...['--server', WAREHOUSE, '--tools', 'query:read,list_tables:read,insert_rows:write,drop_table:destructive'],
  )
  expect(init).toMatchObject({ code: 0, err: '' })
  const added = await run('agent', 'add', 'chart-maker', '--owner', 'bob@corp.example', '--manifest', 'warehouse:query')
  expect(added).toMatchObject({ code: 0, err: '' })
  const registry = readFileSync(path('registry.yaml'), 'utf8')
  writeFileSync(
    path('registry.yaml'),
    registry
      .replace('enforces: scope', 'enforces: arguments')
      .replace('    upstream:', '    delegates: [chart-maker]\n    upstream:'),
  )
  broker = await serveErrand([], directory)
})

afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  await idp?.close()
  rmSync(directory, { recursive: true, force: true })
})

describe('a broker from init', () => {
  test('passes check without a problem', async () => {
    const checked = await run('check')
    expect(checked.code, checked.out).toBe(0)
    expect(checked.out).toContain(
      `http://127.0.0.1:${port} (development), embedded store, 2 agents, 1 resource, 1 grant`,
    )
    expect(checked.out).not.toContain('problem')
    const { ok, problems, policy_version: version } = JSON.parse((await run('check', '--json')).out)
    expect({ ok, problems }).toEqual({ ok: true, problems: [] })
    expect(broker.written()).toContain(version)
  })

  test('says on one line what it serves', () => {
    const [line = ''] = broker.written().split('\n')
    expect(JSON.parse(line)).toMatchObject({
      msg: 'ready',
      issuer: `http://127.0.0.1:${port}`,
      pid: expect.any(Number),
      store: 'embedded',
      agents: 2,
      resources: 1,
      grants: 1,
    })
  })

  test('keeps private keys to their owner, and never writes them anywhere else', () => {
    const keys = readdirSync(path('keys')).map((name) => `keys/${name}`)
    const agents = readdirSync(path('agents')).map((name) => `agents/${name}`)
    expect(agents.sort()).toEqual(['agents/chart-maker.jwk.json', 'agents/report-agent.jwk.json'])
    for (const name of [...keys, ...agents]) expect(mode(name), name).toBe(0o600)
    for (const name of ['keys', 'agents']) expect(mode(name), name).toBe(0o700)
    const { d } = JSON.parse(readFileSync(path('agents/report-agent.jwk.json'), 'utf8'))
    expect(d).toMatch(/^[\w-]{43}$/)
    for (const name of ['errand.yaml', 'registry.yaml']) expect(readFileSync(path(name), 'utf8')).not.toContain(d)
    expect(readFileSync(path('.gitignore'), 'utf8').split('\n')).toEqual(
      expect.arrayContaining(['keys/', 'agents/', 'data/']),
    )
  })

  test('is never written over', async () => {
    const before = readFileSync(path('errand.yaml'), 'utf8')
    const again = await run('init', '--yes')
    expect(again.code).toBe(2)
    expect(again.err).toContain('errand.yaml exists already')
    expect(readFileSync(path('errand.yaml'), 'utf8')).toBe(before)
  })
})

describe('the whole story by commands', () => {
  test('open, continue, delegate, accept, and the operator kills it all', async () => {
    const now = Math.floor(Date.now() / 1000)
    const idToken = idp.sign({ sub: 'alice', aud: ORCHESTRATOR, iat: now - 5, exp: now + 3600 }).reveal()
    writeFileSync(path('intent.json'), JSON.stringify(intent('Summarise revenue', { query: {}, list_tables: {} })))
    const opened = await piped(
      `${idToken}\n`,
      ...['exchange', '--client', ORCHESTRATOR, '--subject-token-file', '-', '--want', 'session'],
      ...['--details-file', 'intent.json', '--out', 'session.jwt'],
    )
    expect(opened, opened.err).toMatchObject({ code: 0, err: '' })
    expect(opened.out).toContain('session token')
    expect(opened.out).toMatch(/user:corp:alice\n +└─ agent:report-agent/)
    expect(opened.out).toContain('written to session.jwt')
    expect(opened.out).not.toMatch(TOKEN_TEXT)
    expect(mode('session.jwt')).toBe(0o600)

    // What it is, it says itself.
    const held = ['--subject-token-file', 'session.jwt']
    const wrong = await run(
      'exchange',
      '--client',
      ORCHESTRATOR,
      ...held,
      '--subject-type',
      'id',
      '--resource',
      WAREHOUSE,
    )
    expect(wrong.err).toMatch(/which check it fails: .*doctor \S*session\.jwt --as report-agent/)
    const access = await run('exchange', '--client', ORCHESTRATOR, ...held, '--resource', WAREHOUSE, '--token-only')
    expect(claimsOf(access.out)).toMatchObject({ aud: WAREHOUSE, sub: 'user:corp:alice', client_id: ORCHESTRATOR })
    expect(access.out).not.toContain('\n')

    writeFileSync(path('less.json'), JSON.stringify(intent('Find the figures', { query: {} })))
    const delegated = await run(
      ...['exchange', '--client', ORCHESTRATOR, ...held, '--want', 'delegation', '--audience', 'chart-maker'],
      ...['--details-file', 'less.json', '--out', 'delegation.jwt', '--json'],
    )
    expect(delegated.code, delegated.err).toBe(0)
    expect(JSON.parse(delegated.out)).toMatchObject({ issued_token_type: 'urn:errand:token-type:delegation' })
    const accepted = await run(
      ...['exchange', '--client', 'chart-maker', '--subject-token-file', 'delegation.jwt'],
      ...['--want', 'session', '--out', 'sub.jwt'],
    )
    expect(accepted.code, accepted.err).toBe(0)
    expect(accepted.out).toMatch(/└─ agent:report-agent\n +└─ agent:chart-maker/)

    const sid = String(claimsOf(access.out)['sid'])
    const drawn = await run('sessions', sid)
    expect(drawn.out).toMatch(/report-agent for user:corp:alice: Summarise revenue/)
    expect(drawn.out).toMatch(/└─ report-agent .*\n[\s\S]*└─ chart-maker .*live/)
    expect(drawn.out).toContain('“Find the figures”')
    expect((await run('sessions', '--agent', 'chart-maker')).out).toContain(sid)
    expect((await run('sessions', '--user', 'user:corp:alice')).out).toContain(sid)
    expect((await run('sessions', '--user', 'user:corp:bob')).out).toBe('no sessions\n')
    expect(await run('sessions', '--user', 'alice')).toMatchObject({ code: 2, out: '' })
    expect(await run('sessions', sid, '--agent', 'chart-maker')).toMatchObject({ code: 2, out: '' })

    const revoked = await run('revoke', '--session', sid)
    expect(revoked, revoked.err).toMatchObject({ code: 0, err: '' })
    expect(revoked.out).toContain('session revoked: 2 hops, 1 access token')
    expect(revoked.out).toContain('before its user has signed in again')
    expect((await run('sessions', sid)).out).not.toMatch(/live|not accepted yet/)
    expect(revoked.out).toMatch(/└─ report-agent {2}1 access token.*\n {7}└─ chart-maker {2}0 access tokens/)

    const after = await run('exchange', '--client', ORCHESTRATOR, ...held, '--resource', WAREHOUSE)
    expect(after).toMatchObject({ code: 1, out: '' })
    expect(after.err).toMatch(
      /refused: invalid_request \((session_not_issuing|subject_token_revoked)\)\n[\s\S]*decision {1,3}dec_/,
    )
    const reopened = await piped(
      idToken,
      ...['exchange', '--client', ORCHESTRATOR, '--subject-token-file', '-', '--want', 'session'],
      ...['--details-file', 'intent.json', '--json'],
    )
    expect(reopened.code).toBe(1)
    expect(JSON.parse(reopened.out).error_reason).toBe('evidence_blocked')
    expect((await listSessions()).find((one) => one.session === sid)?.state).toBe('revoked')
  })

  test('an agent by itself; cut off and blocked; lifted; and the audit of it all', async () => {
    const alone = () => run('exchange', '--client', ORCHESTRATOR, '--resource', WAREHOUSE)
    expect((await alone()).out).toMatch(/access token[\s\S]*scope mcp:tools:read/)
    const cut = await run('revoke', '--agent', ORCHESTRATOR, '--block', '--name', 'carol')
    expect(cut.out).toContain('report-agent cut off and blocked')
    const refused = await alone()
    expect(refused.code).toBe(1)
    expect(refused.err).toContain('principal_blocked')
    expect((await run('lift', '--agent', ORCHESTRATOR)).out).toContain('lifted: agent report-agent')
    const unblocked = await run('revoke', '--agent', ORCHESTRATOR)
    expect(unblocked.out).toContain(
      'may begin anew at once, for a user by a sign-in more than a minute later; add --block',
    )
    expect(cut.out).not.toContain('add --block')
    expect((await alone()).code).toBe(0)
    const audit = (await run('audit', '--limit', '20')).out
    expect(audit).toMatch(/granted {2}control\.write +operator:carol\s+revoke agent report-agent, block\n {4}dec_/)
    expect(audit).toContain('lift agent report-agent')
    expect(audit.split('\n').filter((line) => line.length > 100)).toEqual([])
    expect(audit).toMatch(/refused .*agent:report-agent.*(\n.*)?principal_blocked/)
    const { records } = JSON.parse((await run('audit', '--limit', '3', '--json')).out)
    expect(records).toHaveLength(3)
  })

  test('a pair, a user, one node and the access tokens of a session can be named, and nothing vaguer', async () => {
    const { out } = await run('exchange', '--client', ORCHESTRATOR, '--resource', WAREHOUSE, '--token-only')
    const sid = String(claimsOf(out)['sid'])
    const detail = JSON.parse((await run('sessions', sid, '--json')).out)
    const node = detail.tree[0].node
    expect((await run('revoke', '--access-of', sid)).out).toContain('revoked: 1 access token\n')
    const address = `http://127.0.0.1:${port}`
    const ended = (await run('revoke', '--session', sid, '--node', node, '--broker', address)).out
    // The agent's other work for itself is dead with it, and named.
    expect(ended).toMatch(/hop revoked: \d+ hops?, /)
    expect(ended).toContain(sid)
    expect((await run('sessions', sid)).out).toMatch(/└─ report-agent {2}revoked/)
    const alone = () => run('exchange', '--client', ORCHESTRATOR, '--resource', WAREHOUSE)
    expect((await alone()).err).toContain('principal_blocked')
    const [, told = ''] = /before: .* (lift --broker .*)\n/.exec(ended) ?? []
    expect(told).toBe(`lift --broker ${address} --on-behalf agent:${ORCHESTRATOR} --by ${ORCHESTRATOR}`)
    expect((await run(...told.split(' '))).code).toBe(0)
    expect((await alone()).code).toBe(0)
    expect((await run('revoke', '--user', 'user:corp:nobody')).out).toContain('nothing that is listed was alive')
    const pair = ['--on-behalf', 'user:corp:nobody', '--by', ORCHESTRATOR]
    const json = JSON.parse((await run('revoke', ...pair, '--json')).out)
    expect(json).toMatchObject({ revoked: { sessions: [], hops: [] }, audit: 'recorded' })
    expect((await run('lift', ...pair)).err).toContain('there is no such block')
    expect((await run('revoke', ...pair, '--block')).code).toBe(0)
    expect((await run('lift', ...pair)).code).toBe(0)
    for (const vague of [
      [],
      ['--session', sid, '--agent', ORCHESTRATOR],
      ['--node', node],
      ['--session', sid, '--block'],
      ['--user', 'alice'],
      ['--on-behalf', 'user:corp:alice'],
    ]) {
      expect((await run('revoke', ...vague)).code, vague.join(' ')).toBe(2)
    }
    const absent = await run('revoke', '--session', 'ses_absent')
    expect(absent.code).toBe(1)
    expect(absent.err).toContain('no such session')
  })
})

describe('management tokens', () => {
  test('are minted for the admin API, for minutes, and go to standard output alone', async () => {
    const minted = await run('admin', 'token', '--name', 'carol')
    expect(minted).toMatchObject({ code: 0, err: '' })
    const claims = claimsOf(minted.out)
    expect(claims).toMatchObject({ sub: 'operator:carol', aud: `http://127.0.0.1:${port}/admin` })
    expect(Number(claims['exp']) - Number(claims['iat'])).toBeLessThanOrEqual(600)
    const answer = await fetch(`http://127.0.0.1:${port}/admin/v1/sessions`, {
      headers: { authorization: `Bearer ${minted.out}` },
    })
    expect(answer.status).toBe(200)
    expect(broker.written()).not.toMatch(TOKEN_TEXT)
  })

  test('are printed by no other command', async () => {
    for (const args of [
      ['sessions'],
      ['audit', '--json'],
      ['revoke', '--agent', ORCHESTRATOR],
      ['keys', '--json'],
      ['check'],
    ]) {
      const { out, err } = await run(...args)
      expect(`${out}${err}`, args.join(' ')).not.toMatch(TOKEN_TEXT)
    }
  })

  test('need the broker’s keys, and keys that nobody else can read', async () => {
    const [name = ''] = readdirSync(path('keys'))
    chmodSync(path(`keys/${name}`), 0o640)
    const refused = await run('admin', 'token')
    chmodSync(path(`keys/${name}`), 0o600)
    expect(refused).toMatchObject({ code: 2, out: '' })
    expect(refused.err).toContain('mode 640 lets others at a private key')
  })
})

describe('keys', () => {
  test('a successor is announced, published within seconds, and announced once only', async () => {
    const published = async (): Promise<string[]> => {
      const answer = await fetch(`http://127.0.0.1:${port}/jwks`)
      return ((await answer.json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
    }
    const rotated = await run('keys', 'rotate', '--class', 'access', '--alg', 'ES256', '--json')
    expect(rotated.code, rotated.err).toBe(0)
    const { kid } = JSON.parse(rotated.out)
    // Nobody told the broker: it looks by itself.
    await expect.poll(published).toContain(kid)
    const { keys } = JSON.parse((await run('keys', '--json')).out)
    expect(keys.filter((key: { state: string }) => key.state === 'next')).toMatchObject([{ kid, class: 'access' }])
    const table = (await run('keys')).out
    expect(table).toMatch(/access +ES256 +next/)
    expect(table).toContain(kid.slice(0, 12))
    expect(table.split('\n').filter((line) => line.length > 100)).toEqual([])
    const again = await run('keys', 'rotate', '--class', 'access')
    expect(again.code).toBe(1)
    expect(again.err).toContain(kid)
  })
})

test('an internal key signs in a minute, and a broker with other keys refuses operators with advice', async () => {
  const { out } = await run('keys', 'rotate', '--class', 'internal')
  expect(out).toMatch(/^announced: internal key [\w-]{12} \(ES256\) signs in 1 min 0 s \(20.*\)\n/)
  expect(out).toContain('find it by themselves; every other machine needs its file by then.')
  expect((await run('sessions')).code).toBe(0)
  broker.signal('SIGHUP')
  // The keys of another broker: as if the minute were over.
  await run('init', '--yes', '--directory', 'other', '--issuer', `http://127.0.0.1:${port}`)
  const strange = await run('sessions', '--config', 'other/errand.yaml', '--broker', `http://127.0.0.1:${port}`)
  expect(strange.code).toBe(1)
  expect(strange.err).toContain('the keys here are not (or not yet) the broker’s')
})

test('a revoke that a store’s silence stops says that nothing was revoked, and when to repeat it', async () => {
  const refusals = ['store_unavailable', 'keys_not_ready']
  const silent = createServer((_request, response) => {
    const body = { error: 'temporarily_unavailable', error_reason: refusals.shift() }
    response.writeHead(503, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done))
  const address = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  try {
    const said = await run('revoke', '--agent', ORCHESTRATOR, '--broker', address)
    expect(said).toMatchObject({ code: 1, out: '' })
    expect(said.err).toMatch(/nothing was revoked: the store does not answer\..* Repeat when \/readyz is 200\./)
    const other = await run('revoke', '--agent', ORCHESTRATOR, '--broker', address)
    expect(other.err).toContain('keys_not_ready')
    expect(other.err).not.toContain('the store does not answer')
  } finally {
    silent.close()
  }
})

test('inspect draws a token from a file or a pipe, checks it when asked, and refuses one on the command line', async () => {
  const exchanged = await run('exchange', '--client', ORCHESTRATOR, '--resource', WAREHOUSE, '--token-only')
  expect(exchanged.err).toBe('')
  const token = exchanged.out
  const seen = await piped(token, 'inspect')
  expect(seen.out).toMatch(/^access token · not verified/)
  expect((await piped(token, 'inspect', '-', '--verify')).out).toMatch(/^access token · signature verified/)
  const forged = `${token.slice(0, -8)}AAAAAAAA`
  const checked = await piped(forged, 'inspect', '--verify')
  expect(checked.code).toBe(1)
  expect(checked.out).toContain('not verified')
  writeFileSync(path('token.jwt'), token)
  expect(JSON.parse((await run('inspect', 'token.jwt', '--json')).out)).toMatchObject({
    kind: 'access token',
    verified: false,
  })
  for (const args of [['inspect', token], [token], ['exchange', '--client', token], [`--x=${token}`]]) {
    const refused = await run(...args)
    expect(refused.code).toBe(2)
    expect(`${refused.out}${refused.err}`).not.toMatch(TOKEN_TEXT)
  }
  expect((await piped('nonsense', 'inspect')).err).toContain('this is not a token')
})

test('an assertion is what curl needs, without a line’s end', async () => {
  const { out } = await run('assertion', '--client', ORCHESTRATOR)
  expect(out).not.toContain('\n')
  expect(claimsOf(out)).toMatchObject({ iss: ORCHESTRATOR, sub: ORCHESTRATOR, aud: `http://127.0.0.1:${port}` })
  expect(Number(claimsOf(out)['exp']) - Number(claimsOf(out)['iat'])).toBeLessThanOrEqual(60)
})

test('a second broker on the same embedded store is refused in words, and changes nothing', async () => {
  const second = await errand(['serve', '--port', String(await freePort())], { cwd: directory })
  expect(second.code).toBe(1)
  expect(second.err).toMatch(/the store cannot be used: .*belongs to one process/)
  expect(existsSync(path('data'))).toBe(true)
})

function intent(purpose: string, tools: Readonly<Record<string, unknown>>) {
  return [
    { type: 'agent_intent', purpose, expires_in: 600 },
    { type: 'mcp_tools', locations: [WAREHOUSE], tools },
  ]
}
