/** API keys from the command that makes them to a token for a server, and their end. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errand, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { claimsOf } from '../support/world.ts'

const SERVER = 'https://warehouse.example/mcp'
let directory: string
const run = (...args: string[]) => errand(args, { cwd: directory })
const read = (name: string) => readFileSync(join(directory, name), 'utf8')
const add = (...more: string[]) => run('apikey', 'add', 'report', ...more)
const FOR = ['--resource', 'warehouse', '--scope', 'mcp:tools:read']

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-apikey-'))
  const server = ['--server', SERVER, '--tools', 'query:read,drop:destructive', '--port', String(await freePort())]
  const made = await run('init', '--yes', '--agent', 'report', '--owner', 'alice@corp.example', ...server)
  expect(made).toMatchObject({ code: 0, err: '' })
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('errand apikey', () => {
  test('makes none that is for everything, for nothing, for ever, or for more than its agent', async () => {
    const wrong: readonly (readonly [readonly string[], string])[] = [
      [['--resource', 'warehouse'], '--scope is needed'],
      [['--scope', 'mcp:tools:read'], '--resource is needed'],
      [[...FOR, '--days', '91'], 'from 1 to 90'],
      [['--resource', 'warehouse', '--scope', 'mcp:tools:admin'], 'no narrower than its agent'],
      [['--resource', 'nowhere', '--scope', 'mcp:tools:read'], 'no resource is named nowhere'],
    ]
    for (const [args, said] of wrong) {
      const refused = await add(...args, '--out', 'no.key')
      expect([refused.code, refused.out, refused.err]).toEqual([2, '', expect.stringContaining(said)])
    }
    const piped = await add(...FOR)
    expect(piped).toMatchObject({ code: 2, out: '', err: expect.stringContaining('--out FILE is needed') })
    expect(read('registry.yaml')).not.toContain('api_keys')
  })

  test('writes the key once, into a private file; the registry gets its digest; the list says what it opens', async () => {
    const added = await add(...FOR, '--days', '30', '--out', 'report.apikey', '--json')
    expect(JSON.parse(added.out)).toMatchObject({ client: 'report', resources: [SERVER], scopes: ['mcp:tools:read'] })
    expect(statSync(join(directory, 'report.apikey')).mode & 0o777).toBe(0o600)
    const text = read('report.apikey').trim()
    expect(text).toMatch(/^errand_ak_[A-Za-z0-9_-]{49}$/)
    for (const place of [added.out, read('registry.yaml')]) expect(place).not.toContain(text)
    const listed = JSON.parse((await run('apikey', 'list', '--json')).out)
    expect(listed).toMatchObject({
      switched_on: false,
      keys: [{ client: 'report', state: 'good', resources: [SERVER] }],
    })
    const onCommandLine = await run('apikey', 'list', text)
    expect([onCommandLine.code, onCommandLine.err.includes(text)]).toEqual([2, false])
  })

  test('a broker that is told so takes it, until it is rotated away', async () => {
    const off = await run('check')
    expect(off.out).toContain('api_keys is off')
    writeFileSync(join(directory, 'errand.yaml'), `${read('errand.yaml')}\nclient_authentication: { api_keys: true }\n`)
    expect((await run('check')).out).toContain('is good for whoever has seen it')
    const issuer = /^issuer: (\S+)/m.exec(read('errand.yaml'))?.[1] ?? ''
    const ask = (file: string) =>
      fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${read(file).trim()}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', client_id: 'report', resource: SERVER }),
      })
    const first = await serveErrand([], directory)
    const answer = await ask('report.apikey')
    const body = (await answer.json()) as { access_token: string }
    expect([answer.status, claimsOf(body.access_token)]).toMatchObject([200, { aud: SERVER, scope: 'mcp:tools:read' }])
    first.signal('SIGTERM')
    await first.ended
    expect(first.written()).not.toContain(read('report.apikey').trim())
    const rotated = await run('apikey', 'rotate', 'report', '--overlap-hours', '0', '--out', 'next.apikey')
    expect(rotated).toMatchObject({ code: 0, err: '' })
    const second = await serveErrand([], directory)
    expect([(await ask('report.apikey')).status, (await ask('next.apikey')).status]).toEqual([401, 200])
    second.signal('SIGTERM')
    await second.ended
  })
})
