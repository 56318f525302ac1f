/** What a reviewer does about a session that has lost its way, by the commands themselves. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { errand, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'

const SERVER = 'https://warehouse.example/mcp'
let directory: string
let broker: Serving
const run = (...args: string[]) => errand(args, { cwd: directory })

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-review-'))
  const server = ['--server', SERVER, '--tools', 'query:read', '--port', String(await freePort())]
  expect(await run('init', '--yes', '--agent', 'analyst', '--owner', 'data', ...server)).toMatchObject({ code: 0 })
  broker = await serveErrand([], directory)
})
afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  rmSync(directory, { recursive: true, force: true })
})

test('a session is left to reading, listed, let go on, and ended for good, each with a reason on record', async () => {
  expect((await run('exchange', '--client', 'analyst', '--resource', SERVER, '--json')).code).toBe(0)
  const [{ session }] = JSON.parse((await run('sessions', '--json')).out).sessions
  expect((await run('sessions', 'halted')).out).toBe('nothing waits for a reviewer\n')
  expect((await run('sessions', 'resume', session)).code).toBe(2)
  const unneeded = await run('sessions', 'resume', session, '--reason', 'none')
  expect([unneeded.code, unneeded.err.includes('transition_illegal')]).toEqual([1, true])

  const contracted = await run('sessions', 'resume', session, '--contracted', '--reason', 'may finish reading')
  expect(contracted).toMatchObject({ code: 0, out: 'resumed: it is contracted, with tools that read alone\n', err: '' })
  const listed = (await run('sessions', 'halted')).out
  expect(listed).toContain(`${session}  contracted`)
  expect(listed).toContain('sessions revoke SESSION --reason')
  expect((await run('sessions', 'resume', session, '--reason', 'looked at it')).out).toBe('resumed: it is active\n')
  expect((await run('sessions', 'halted', '--json')).out).toBe('{\n  "sessions": []\n}\n')
  expect((await run('sessions', 'revoke', session, '--reason', 'taken over')).out).toContain('revoked, with all that')
  const audit = (await run('audit', '--limit', '200', '--class', 'operator')).out
  expect(audit).toContain('looked at it')
  expect(audit).toContain('taken over')
})
