/** What security people ask of a broker that runs, by the commands themselves: what was decided, why, and what a draft would change. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { errand, freePort, type Serving, serveErrand } from '../support/errand-command.ts'

const SERVER = 'https://warehouse.example/mcp'
const DENY = '[{ id: no-queries, effect: deny, principals: [{ agent: analyst }], resources: [{ tool: query }] }]'
let directory: string
let broker: Serving
const run = (...args: string[]) => errand(args, { cwd: directory })
const exchange = () => run('exchange', '--client', 'analyst', '--resource', SERVER, '--json')

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-decisions-'))
  const server = ['--server', SERVER, '--tools', 'query:read', '--port', String(await freePort())]
  expect(await run('init', '--yes', '--agent', 'analyst', '--owner', 'data', ...server)).toMatchObject({ code: 0 })
  broker = await serveErrand([], directory)
}, 60_000)
afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  rmSync(directory, { recursive: true, force: true })
})

/** The ids that `errand decisions` lists, newest first. */
async function decided(...filter: string[]): Promise<readonly string[]> {
  const { code, out, err } = await run('decisions', ...filter, '--json')
  expect([code, err]).toEqual([0, ''])
  return JSON.parse(out).decisions.map(({ id }: { id: string }) => id)
}

test('a grant and a refusal are listed, explained, made again, and put to a draft', async () => {
  expect((await exchange()).code).toBe(0)
  const [granted = ''] = await decided('--agent', 'analyst')
  expect((await run('explain', granted)).out).toContain('Allowed: agent analyst may `query` at warehouse')

  const file = join(directory, 'registry.yaml')
  const before = readFileSync(file, 'utf8')
  expect(before).toMatch(/^grants:.*$/m)
  writeFileSync(file, before.replace(/^grants:.*$/m, `grants: ${DENY}`))
  const diff = await run('policy', 'diff', '--fail-on-change')
  expect([diff.code, diff.err]).toEqual([1, ''])
  expect(diff.out).toContain(granted)
  expect((await run('policy', 'apply')).code).toBe(0)
  expect((await exchange()).code).toBe(1)

  const [refused = ''] = await decided('--agent', 'analyst', '--outcome', 'refused')
  expect(refused).not.toBe(granted)
  const explained = await run('explain', refused)
  expect([explained.code, explained.err]).toEqual([0, ''])
  expect(explained.out).toContain('Refused: agent analyst may not `query` at warehouse: denied by grant no-queries.')
  expect(explained.out).toContain('take back the deny grant no-queries')
  for (const id of [granted, refused]) {
    const again = await run('replay', id)
    expect([again.code, again.err]).toEqual([0, ''])
    expect(again.out).toContain('the same answer')
  }
  const challenges = await run('challenges')
  expect(challenges.code).toBe(0)
  expect(challenges.out).toContain(refused)
}, 60_000)

test.each([['explain'], ['replay']])('errand %s of nothing that was decided says so, and fails', async (command) => {
  const { code, out, err } = await run(command, 'dec_AAAAAAAAAAAAAAAAAAAAAA')
  expect([code, out]).toEqual([1, ''])
  expect(err).toContain('not_found')
}, 30_000)
