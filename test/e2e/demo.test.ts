import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { runDemo } from '../../src/cli/demo/demo.ts'

const leftovers = async (): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('errand-demo-'))

test('the demo plays with real parts, every step comes out as told, and nothing is left behind', async () => {
  const before = await leftovers()
  const written: string[] = []
  const code = await runDemo((text) => written.push(text))
  const story = written.join('')
  expect(story).not.toContain('✗')
  expect(code).toBe(0)
  expect(story).toMatch(/user:corp:alice\n +└─ agent:report-orchestrator, who may/)
  expect(story).toContain('tool drop_table needs scope mcp:tools:destructive')
  expect(story).toContain('query with limit at most 500')
  expect(story).toContain('only tools that read are left')
  expect(story).toContain('the session is halted')
  expect(story).toContain('it is active')
  expect(story).toContain('nothing of it works any more')
  expect(story).not.toMatch(/eyJ[\w-]+\./) // no token is ever shown
  expect((await leftovers()).filter((name) => !before.includes(name))).toEqual([])
})
