/** What security people ask of a broker that runs, by the commands themselves: what was decided, why, and what a draft would change. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { errand, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'

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
})
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

test('a draft in shadow is started, looked at, seen in each decision it would turn, and stopped', async () => {
  expect(await run('policy', 'shadow')).toMatchObject({ code: 0, out: 'no draft is in shadow\n' })
  const before = readFileSync(join(directory, 'registry.yaml'), 'utf8')
  writeFileSync(join(directory, 'draft.yaml'), before.replace(/^grants:.*$/m, `grants: ${DENY}`))
  const started = await run('policy', 'shadow', 'start', '--draft', 'draft.yaml', '--days', '2')
  expect([started.code, started.err]).toEqual([0, ''])
  expect(started.out).toMatch(
    /^in shadow: policy \S{12} until \S+Z\n {2}begun \S+ by operator:\S+\n {2}0 decisions compared/,
  )
  expect((await exchange()).code).toBe(0)

  const [turned = ''] = await decided('--shadow-differs')
  expect((await run('decisions', '--shadow-differs')).out).toContain('in shadow, would refuse it (nothing_granted)')
  const explained = await run('explain', turned)
  expect(explained.out).toContain('Allowed: agent analyst may `query` at warehouse')
  expect(explained.out).toMatch(/\n {2}draft {4}\S{12}, in shadow, would refuse it \(nothing_granted\)\n/)
  expect(JSON.parse((await run('explain', turned, '--json')).out).shadow).toMatchObject({ turn: 'refused' })
  expect((await run('policy', 'shadow')).out).toContain('1 decision compared, 1 it would answer otherwise')

  const stopped = await run('policy', 'shadow', 'stop')
  expect(stopped.out).toMatch(/^ended: policy \S{12} is in shadow no more\n/)
  expect((await run('policy', 'shadow', '--json')).out).toBe('{\n  "shadow": null\n}\n')
  expect((await exchange()).code).toBe(0)
  expect(await decided('--shadow-differs')).toEqual([turned])
})

test('a draft that is no policy, an action that is none, and stopping nothing are refused', async () => {
  writeFileSync(join(directory, 'bad.yaml'), 'agents: [{ client_id: x, admin: true }]\n')
  const bad = await run('policy', 'shadow', 'start', '--draft', 'bad.yaml')
  expect([bad.code === 0, bad.out, bad.err.includes('bad.yaml')]).toEqual([false, '', true])
  expect(await run('policy', 'shadow', 'begin')).toMatchObject({ code: 2, out: '' })
  expect((await run('policy', 'shadow', 'stop', '--days', '2')).err).toContain('--days goes with start')
  expect((await run('policy', 'shadow', 'start', '--days', '31')).err).toContain('from 1 to 30')
  const stop = await run('policy', 'shadow', 'stop')
  expect([stop.code, stop.err.includes('not_found')]).toEqual([1, true])
  expect((await run('policy', 'shadow')).out).toBe('no draft is in shadow\n')
})

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
})

test.each([['explain'], ['replay']])('errand %s of nothing that was decided says so, and fails', async (command) => {
  const { code, out, err } = await run(command, 'dec_AAAAAAAAAAAAAAAAAAAAAA')
  expect([code, out]).toEqual([1, ''])
  expect(err).toContain('not_found')
})
