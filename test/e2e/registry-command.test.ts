/** `errand registry export` and `import` against a running broker: what is exported can be imported, and says what it changes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { errand, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'

let directory: string
let serving: Serving
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-registry-'))
  serving = await serveErrand(['--development', '--port', String(await freePort())], directory)
})
afterAll(async () => {
  serving.signal('SIGTERM')
  await serving.ended
  rmSync(directory, { recursive: true, force: true })
})

const registry = (...args: readonly string[]) =>
  errand(['registry', ...args, '--config', '.errand/errand.yaml'], { cwd: directory })

test('what is written over the API goes out and comes in again; a preview changes nothing', async () => {
  const files = parse((await registry('export')).out)
  expect(files.agents.map(({ client_id }: { client_id: string }) => client_id)).toEqual(['demo-agent'])
  writeFileSync(join(directory, 'more.yaml'), 'projects:\n  - { id: lab, owner: team-lab }\n')

  const preview = await registry('import', 'more.yaml', '--dry-run')
  expect(preview).toMatchObject({ code: 0, err: '' })
  expect(preview.out).toMatch(/^would be policy \S{12}\n {2}\+ project:lab\n0 cut-offs/)
  expect(JSON.parse((await registry('export', '--api', '--json')).out)).toEqual({})

  const done = await registry('import', 'more.yaml')
  expect(done.out).toBe(preview.out.replace('would be', 'is now'))
  const exported = await registry('export', '--api')
  expect(parse(exported.out)).toEqual({ projects: [{ id: 'lab', owner: 'team-lab' }] })
  writeFileSync(join(directory, 'same.yaml'), exported.out)
  expect((await registry('import', 'same.yaml')).out).toContain('nothing changes')
})

test('what cannot be published is refused with every problem, and nothing changes', async () => {
  writeFileSync(join(directory, 'bad.yaml'), 'grants:\n  - { id: x }\n')
  const before = (await registry('export')).out
  const refused = await registry('import', 'bad.yaml')
  expect(refused.code).toBe(1)
  for (const path of ['grants[0].effect', 'grants[0].principals', 'grants[0].resources']) {
    expect(refused.err).toContain(path)
  }
  expect((await registry('export')).out).toBe(before)
})

test('single objects are listed, shown and moved along their life; reach says what an agent could be given', async () => {
  writeFileSync(
    join(directory, 'one.yaml'),
    'resources:\n  - { id: lab, url: "https://lab.example/mcp", owner: team-lab, tools: { look: { category: read } } }\n',
  )
  expect((await registry('import', 'one.yaml')).code).toBe(0)
  expect((await registry('list', 'resources', '--source', 'api')).out).toBe(
    'lab  active  owner team-lab  api\n1 object\n',
  )
  expect(parse((await registry('show', 'resources', 'lab')).out)).toMatchObject({ id: 'lab', owner: 'team-lab' })
  const moved = await registry('move', 'resources', 'lab', 'suspended')
  expect(moved.out).toMatch(/^lab is suspended, policy \S{12}\n1 cut-off\n/)
  expect((await registry('move', 'resources', 'lab', 'draft')).err).toContain('no step leads from suspended to draft')
  expect(await registry('list', 'resurces')).toMatchObject({ code: 2, out: '' })

  const reach = await errand(['reach', 'demo-agent', '--config', '.errand/errand.yaml'], { cwd: directory })
  expect(reach).toMatchObject({ code: 0, err: '' })
  expect(reach.out).toContain('agent demo-agent, work of its own\n')
  expect(reach.out).toMatch(/ ✓ read_note +any arguments\n/)
  expect(reach.out).toMatch(/ ✗ delete_note +tool: not delegable to agents\n/)
  expect(reach.out).toContain('its manifest does not touch 1 server more')
  const audit = await errand(['audit', '--config', '.errand/errand.yaml'], { cwd: directory })
  expect(audit.out).toMatch(/granted {2}registry\.change .* resources\/lab\n/)
})

test('a challenge is resolved by the command: shown first, granted with a reason', async () => {
  const run = (...args: readonly string[]) => errand([...args, '--config', '.errand/errand.yaml'], { cwd: directory })
  expect(await run('challenges', 'resolve', 'chl_AAAAAAAAAAAAAAAAAAAAAA', '--reason', 'x')).toMatchObject({
    code: 1,
    out: '',
  })
  expect(await run('challenges', 'resolve', 'chl_AAAAAAAAAAAAAAAAAAAAAA', '--hours', '4')).toMatchObject({ code: 2 })
})
