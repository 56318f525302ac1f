/** What an operator asks of a broker that runs: the review, the page, and the drill, by the commands themselves. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { errand, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'

const SERVER = 'https://warehouse.example/mcp'
let directory: string
let broker: Serving
let port: number
const run = (...args: string[]) => errand(args, { cwd: directory })

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-review-'))
  port = await freePort()
  const server = ['--server', SERVER, '--tools', 'query:read,drop:destructive', '--port', String(port)]
  expect(await run('init', '--yes', '--agent', 'drill-agent', '--owner', 'platform', ...server)).toMatchObject({
    code: 0,
  })
  expect(await run('service', 'add', 'warehouse-server', '--resource', 'warehouse')).toMatchObject({ code: 0 })
  broker = await serveErrand([], directory)
})
afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  rmSync(directory, { recursive: true, force: true })
})

test('a drill by introspection alone needs no feed, and leaves no block behind', async () => {
  const drill = ['drill', 'revoke', '--client', 'drill-agent', '--resource', SERVER, '--server', 'warehouse-server']
  const drilled = await run(...drill, '--by', 'introspection', '--rounds', '2', '--json')
  expect([drilled.code, drilled.err]).toEqual([0, ''])
  expect(JSON.parse(drilled.out)).toMatchObject({ ok: true, revocations: 2, tokens: 6 })
})

test('errand review fails a build only where it is asked to and something needs attention', async () => {
  const calm = await run('review', '--fail')
  expect([calm.code, calm.err]).toEqual([0, ''])
  expect(calm.out).toContain('Review of 1 agent, 1 server, 0 users')
  expect(calm.out).toContain('nothing needs attention')
  expect(calm.out).toContain('owner platform')
})

test('errand review --narrow writes no draft where everything is used, and takes no file’s place', async () => {
  const calm = await run('review', '--narrow', 'draft.yaml')
  expect([calm.code, calm.err]).toEqual([0, ''])
  expect(calm.out).toContain('nothing to narrow in the policy files: no draft is written')
  expect(existsSync(join(directory, 'draft.yaml'))).toBe(false)
  expect(JSON.parse((await run('review', '--narrow', 'draft.yaml', '--json')).out).narrow).toEqual({
    file: null,
    narrowed: [],
    left: [],
  })
})

test('errand report architecture prints the page as text, Markdown and JSON', async () => {
  const page = await run('report', 'architecture')
  expect([page.code, page.err]).toEqual([0, ''])
  expect(page.out).toContain('MCP servers (1)\n  warehouse  https://warehouse.example/mcp')
  expect(page.out).toContain('introspects as warehouse-server')
  expect((await run('report', 'architecture', '--format', 'markdown')).out).toMatch(/^# Architecture of http/)
  const { record, agents } = JSON.parse((await run('report', 'architecture', '--format', 'json')).out)
  expect(record.kept).toBeGreaterThan(1)
  expect(agents[0]).toMatchObject({ id: 'drill-agent', credentials: { private_key_jwt: 1 } })
})
