/**
 * `errand approvals`, `errand approve` and `errand explain` as an approver uses them (R205), with a broker, an agent and a server that
 * are other processes or speak over a real socket.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { approvalRegistry, callOf, newAttempt, PURPOSE } from '../support/approvals.ts'
import { EVALUATION } from '../support/authzen.ts'
import { errand, type Ran, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { type Claims, details, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { sign, testKey } from '../support/keys.ts'
import { TYPE, WAREHOUSE } from '../support/world.ts'

let directory: string
let idp: TestIssuer
let broker: Serving
let issuer: string
const path = (name: string) => join(directory, name)
/** Where nothing of the broker's is. */
const away = (...args: string[]): Promise<Ran> => errand(args, { cwd: path('away') })
const now = () => Math.floor(Date.now() / 1000)

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-approve-'))
  idp = await startIssuer({ slug: 'corp' })
  const port = await freePort()
  issuer = `http://127.0.0.1:${port}`
  mkdirSync(path('away'))
  writeFileSync(path('registry.yaml'), JSON.stringify(approvalRegistry(idp)))
  const configuration = {
    issuer,
    listen: { port },
    environment: 'development',
    store: { kind: 'embedded', directory: './store' },
    keys: { directory: './keys' },
    outbound: { allow_loopback: true },
    approvals: { valid_seconds: 120, pending_seconds: 600 },
    admins: ['bob', 'carol'].map((sub) => ({ user: `corp:${sub}`, roles: ['approver'] })),
  }
  writeFileSync(path('errand.yaml'), JSON.stringify(configuration))
  broker = await serveErrand(['--config', 'errand.yaml'], directory)
  await signIn('carol')
  await signIn('bob')
})
afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  await idp?.close()
  rmSync(directory, { recursive: true, force: true })
})

async function signIn(sub: string): Promise<void> {
  const times = { iat: now() - 5, exp: now() + 3600, auth_time: now() - 10 }
  const input = idp.sign({ sub, aud: 'errand-admins', ...times, nonce: newAttempt() }).reveal()
  const args = ['admin', 'login', '--issuer', issuer, '--token-file', '-', '--out', `${sub}.json`]
  expect(await errand(args, { cwd: path('away'), input })).toMatchObject({ code: 0, err: '' })
}

async function token(client: string, params: Readonly<Record<string, string>>): Promise<string> {
  const claims = { iss: client, sub: client, aud: issuer, iat: now(), exp: now() + 60, jti: newAttempt() }
  const header = { typ: 'client-authentication+jwt' }
  const assertion = sign({ key: testKey(`${client}-key`), header, claims }).reveal()
  const body = new URLSearchParams({
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    ...params,
  })
  const response = await fetch(`${issuer}/token`, { method: 'POST', body })
  const answer = (await response.json()) as Claims
  expect(response.status, JSON.stringify(answer)).toBe(200)
  return answer['access_token']
}

async function atWork() {
  const exchange = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' }
  const times = { iat: now() - 5, exp: now() + 3600, auth_time: now() - 10 }
  const session = await token('orchestrator', {
    ...exchange,
    subject_token: idp.sign({ sub: 'alice', aud: 'orchestrator-at-idp', ...times, jti: newAttempt() }).reveal(),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: details(
      { type: 'agent_intent', purpose: PURPOSE, origin: { type: 'user_request' } },
      tools(WAREHOUSE, { drop_table: {} }),
    ),
  })
  const subject = { subject_token: session, subject_token_type: TYPE.session, resource: WAREHOUSE }
  const access = await token('orchestrator', { ...exchange, ...subject })
  const resource = `${issuer}/api`
  const asking = await token('warehouse-server', { grant_type: 'client_credentials', resource, scope: 'evaluate' })
  return async (args: object): Promise<Claims> => {
    const response = await fetch(issuer + EVALUATION, {
      method: 'POST',
      headers: { Authorization: `Bearer ${asking}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(callOf(access, args, newAttempt())),
    })
    return (await response.json()) as Claims
  }
}

test('what waits is listed, shown as it would be done, approved, done once, and explained', async () => {
  expect((await away('approvals', '--admin', 'carol.json')).out).toBe('no call waits for an approval\n')
  const attempt = await atWork()
  const look = { table: 'costs_2019', note: 'p\u0430y\u202eroll\n' }
  const { id } = (await attempt(look)).context.access_request

  const list = await away('approvals', '--admin', 'carol.json')
  expect([list.code, list.err]).toEqual([0, ''])
  expect(list.out).toContain(`${id}  waits`)
  expect(list.out).toContain(`by agent orchestrator for user:corp:alice: ${PURPOSE}`)
  expect(list.out).not.toContain('costs_2019')

  const shown = await away('approve', id, '--admin', 'carol.json')
  expect([shown.code, shown.err]).toEqual([0, ''])
  expect(shown.out).toContain(`drop_table at ${WAREHOUSE}  waits`)
  expect(shown.out).toContain('"table": "costs_2019"')
  // Nothing that only looks like something else, turns the line around, or begins another.
  expect(shown.out).toContain('"note": "p\\u0430y\\u202eroll\\n"')
  expect(shown.out).toContain('nothing is approved yet')
  expect((await attempt(look)).context.access_request).toMatchObject({ id, status: 'pending' })

  const said = await away('approve', id, '--reason', 'as agreed in ticket 4711', '--admin', 'carol.json')
  expect([said.code, said.err]).toEqual([0, ''])
  expect(said.out).toContain('"table": "costs_2019"')
  expect(said.out).toMatch(/approved: drop_table at \S+, this once, until \S+Z/)

  const through = await attempt(look)
  expect(through).toMatchObject({ decision: true })
  const explained = await away('explain', through.context.decision_id, '--admin', 'carol.json')
  expect([explained.code, explained.err]).toEqual([0, ''])
  expect(explained.out).toContain(`approval ${id}, by user:corp:carol`)
  const used = await away('approve', id, '--admin', 'carol.json')
  expect([used.code, used.out.includes(`used by    ${through.context.decision_id}`)]).toEqual([1, true])

  const refused = await attempt(look)
  expect(refused.decision).toBe(false)
  const why = await away('explain', refused.context.decision_id, '--admin', 'carol.json')
  expect(why.out).toContain('refused afterwards: approval_required')
})

test('a no needs a reason, is a no, and is told as one', async () => {
  const attempt = await atWork()
  const { id } = (await attempt({ table: 'salaries' })).context.access_request
  const bare = await away('approve', id, '--deny', '--admin', 'carol.json')
  expect([bare.code, bare.err.includes('--deny goes with --reason')]).toEqual([2, true])
  // On the broker's own machine, too: a no is no risk.
  const no = await errand(['approve', id, '--deny', '--reason', 'wrong table', '--json'], { cwd: directory })
  expect([no.code, JSON.parse(no.out).state]).toEqual([0, 'denied'])
  expect((await attempt({ table: 'salaries' })).context.reason).toBe('approval_denied')
  const audit = JSON.parse((await away('audit', '--json', '--admin', 'carol.json')).out)
  const denied = audit.records.find(({ event }: Claims) => event === 'approval.denied')
  const told = await away('explain', denied.id, '--admin', 'carol.json')
  expect(told.out).toMatch(/^Denied: by operator:\S+, a call at \S+ by agent orchestrator for user:corp:alice\./)
})

test('who may not is told why, and nothing is approved: the owner, and the broker’s own machine', async () => {
  const attempt = await atWork()
  const { id } = (await attempt({ table: 'mine' })).context.access_request
  const owner = await away('approve', id, '--reason', 'mine', '--admin', 'bob.json')
  expect([owner.code, owner.err.includes('approval_same_person')]).toEqual([1, true])
  const machine = await errand(['approve', id, '--reason', 'mine'], { cwd: directory })
  expect([machine.code, machine.err.includes('errand admin login')]).toEqual([1, true])
  expect((await attempt({ table: 'mine' })).context.access_request.id).toBe(id)
  expect((await away('approve', 'apr_nothing', '--admin', 'carol.json')).code).toBe(1)
})

test('no argument is in what the broker has written', () => {
  expect(broker.written()).not.toMatch(/costs_2019|salaries|payroll/)
})
