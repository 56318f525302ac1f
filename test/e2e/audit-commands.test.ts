/** What an investigator asks of a broker that runs, by the commands themselves (R163, R171, R177). */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { errand, type Serving, serveErrand, startErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { PATIENCE_MS } from '../support/patience.ts'

const SERVER = 'https://warehouse.example/mcp'

let directory: string
let broker: Serving
const run = (...args: string[]) => errand(args, { cwd: directory })
const exchange = (resource = SERVER) => run('exchange', '--client', 'analyst', '--resource', resource, '--json')

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-audit-'))
  const server = ['--server', SERVER, '--tools', 'query:read', '--port', String(await freePort())]
  expect(await run('init', '--yes', '--agent', 'analyst', '--owner', 'data', ...server)).toMatchObject({ code: 0 })
  broker = await serveErrand([], directory)
  expect((await exchange()).code).toBe(0)
  expect((await exchange('https://elsewhere.example/mcp')).code).toBe(1)
})
afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  rmSync(directory, { recursive: true, force: true })
})

// biome-ignore lint/suspicious/noExplicitAny: records of many shapes
type Records = readonly any[]
async function found(...filter: string[]): Promise<Records> {
  const { code, out, err } = await run('audit', ...filter, '--json')
  expect([code, err]).toEqual([0, ''])
  return JSON.parse(out).records
}

describe('errand audit', () => {
  test('finds records by whom, what, where, how they ended and when; all that is given must hold', async () => {
    const [granted] = await found('--agent', 'analyst', '--outcome', 'granted')
    expect(granted).toMatchObject({ event: 'token.autonomous', by: 'agent:analyst', resource: SERVER })
    expect(await found('--jti', granted.jti)).toEqual([granted])
    expect(await found('--id', granted.id)).toEqual([granted])
    expect(await found('--session', granted.session, '--server', SERVER)).toEqual([granted])
    const [refused] = await found('--class', 'agent', '--outcome', 'refused')
    expect(refused).toMatchObject({ by: 'agent:analyst', outcome: 'refused', reason: expect.any(String) })
    expect(await found('--reason', refused.reason, '--agent', 'analyst')).toEqual([refused])
    expect(await found('--agent', 'analyst', '--since', '2100-01-01T00:00:00Z')).toEqual([])
    expect(await found('--agent', 'analyst', '--until', '2001-01-01T00:00:00Z')).toEqual([])
    expect(await found('--agent', 'nobody')).toEqual([])
    expect((await run('audit', '--agent', 'nobody')).out).toMatch(
      /^nothing of this kind is on record\nthe trail goes back to \d{4}-[-\d]+T[:.\d]+Z\n$/,
    )
  })

  test('goes on where a shorter list ended', async () => {
    const all = await found('--agent', 'analyst')
    const first = JSON.parse((await run('audit', '--agent', 'analyst', '--limit', '1', '--json')).out)
    expect(first.records).toEqual(all.slice(0, 1))
    const more = await run('audit', '--agent', 'analyst', '--limit', '1', '--after', first.after, '--json')
    expect(JSON.parse(more.out).records).toEqual(all.slice(1, 2))
    expect((await run('audit', '--agent', 'analyst', '--limit', '1')).out).toContain(
      'there may be older ones: --after ',
    )
  })

  test('refuses what it does not know, and times that are none', async () => {
    expect(await run('audit', '--agnt', 'analyst')).toMatchObject({ code: 2, out: '' })
    const time = await run('audit', '--since', 'yesterday')
    expect([time.code, time.err.includes('RFC 3339')]).toEqual([1, true])
    expect((await run('audit', '--follow', '--limit', '3')).err).toContain('--limit goes without --follow')
  })

  test('follows: what is there and what comes is printed once, oldest first', async () => {
    const following = await startErrand(['audit', '--follow', '--agent', 'analyst', '--json'], directory)
    try {
      expect((await exchange()).code).toBe(0)
      expect((await exchange()).code).toBe(0)
      const lines = () =>
        following
          .out()
          .split('\n')
          .filter((line) => line !== '')
      await vi.waitFor(() => expect(lines().length).toBeGreaterThanOrEqual(4), { timeout: PATIENCE_MS, interval: 100 })
      const newest = (await found('--agent', 'analyst', '--limit', '2')).map(({ id }) => id)
      const printed = lines().map((line) => JSON.parse(line))
      expect(printed.map(({ id }) => id).slice(-2)).toEqual(newest.toReversed())
      expect(new Set(printed.map(({ id }) => id)).size).toBe(printed.length)
    } finally {
      await following.stop()
    }
  })
})

test('errand audit story, chain, who, called, destructive, personal and access answer of what was done', async () => {
  const [granted] = await found('--agent', 'analyst', '--outcome', 'granted', '--limit', '1')
  const story = await run('audit', 'story', granted.txn)
  expect([story.code, story.err]).toEqual([0, ''])
  expect(story.out).toMatch(/^Story of \S+\n/)
  expect(story.out).toContain(`agent analyst gets a token for ${granted.server.name}, for its own work`)
  const chain = await run('audit', 'chain', granted.jti)
  expect([chain.code, chain.err]).toEqual([0, ''])
  expect(chain.out).toMatch(/^nobody: agent:analyst worked for itself\n/)
  expect(chain.out).toContain('└─ agent analyst')
  expect((await run('explain', granted.id)).out).toContain('No person asked for this: agent analyst')
  expect((await run('audit', 'called', 'query')).out).toBe('Nobody called query, and nobody was refused it.\n')
  expect((await run('audit', 'destructive')).out).toContain('NO: no destructive call is on record')
  expect((await run('audit', 'personal', '--since', '2026-01-01T00:00:00Z')).out).toContain('NO: no call was allowed.')
  expect((await run('audit', 'who', '--tool', 'query')).out).toContain('Nobody: no call is on record.')
  expect((await run('audit', 'access', '--server', SERVER)).out).toBe('nobody called anything there\n')
  const none = await run('audit', 'story', 'txn_nobody')
  expect([none.code, none.err.includes('not_found')]).toEqual([1, true])
})
