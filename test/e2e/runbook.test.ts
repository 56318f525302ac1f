/**
 * The runbook for a compromised agent, run line by line against a real broker: each block of commands in its order, each
 * answer as the page shows it; and the agent's own token, which the page is about, is alive before and dead after.
 */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { errand, freePort, type Serving, serveErrand } from '../support/errand-command.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PAGE = readFileSync(join(ROOT, 'deploy/runbooks/compromised-agent.md'), 'utf8')

interface Block {
  readonly commands: string
  /** Lines that the answer must have, `…` standing for anything. */
  readonly expected: readonly string[]
}

const blocks: readonly Block[] = [...PAGE.matchAll(/```sh\n([\s\S]*?)```(?:\n\n```text\n([\s\S]*?)```)?/g)].map(
  ([, commands = '', expected = '']) => ({ commands, expected: expected.split('\n').filter((line) => line !== '') }),
)

let directory = ''
let broker: Serving
const config = () => join(directory, '.errand/errand.yaml')
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-runbook-'))
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  const main = join(ROOT, 'src/main.ts')
  writeFileSync(join(bin, 'errand'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`)
  chmodSync(join(bin, 'errand'), 0o755)
  broker = await serveErrand(['--development', '--port', String(await freePort())], directory)
})
afterAll(() => {
  broker?.signal('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

/** One shell for one block; variables that earlier blocks set come first. */
function shell(commands: string): Promise<{ code: number; out: string }> {
  const env = { PATH: `${join(directory, 'bin')}:${process.env['PATH']}`, ERRAND_CONFIG: config(), HOME: directory }
  return new Promise((done) => {
    execFile('/bin/sh', ['-euc', commands], { cwd: directory, env }, (fault, out, err) => {
      done({ code: fault === null ? 0 : Number(fault.code), out: out + err })
    })
  })
}

const asAgent = (out: string) =>
  errand(
    [
      'exchange',
      '--config',
      config(),
      '--client',
      'demo-agent',
      '--resource',
      'https://notes.example/mcp',
      '--out',
      out,
    ],
    { cwd: directory },
  )

const matches = (line: string, expected: string) => {
  let at = 0
  for (const part of expected.split('…')) {
    const found = line.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return expected.startsWith('…') || line.startsWith(expected.split('…')[0] ?? '')
}

test('every command of the page answers as the page says, and the agent is dead until it is lifted', async () => {
  expect(blocks.length).toBeGreaterThan(6)
  expect((await asAgent('before.jwt')).code).toBe(0)
  const assignments: string[] = []
  let isStopped = false
  for (const { commands, expected } of blocks) {
    const { code, out } = await shell([...assignments, commands].join('\n'))
    expect([commands, code, out]).toEqual([commands, 0, out])
    for (const line of expected) {
      expect([commands, line, out.split('\n').some((one) => matches(one, line))], out).toEqual([commands, line, true])
    }
    assignments.push(...commands.split('\n').filter((line) => /^[A-Z]+=[a-z-]+$/.test(line)))
    if (!isStopped && commands.includes('errand revoke')) {
      isStopped = true
      const refused = await asAgent('after.jwt')
      expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('principal_blocked')])
      expect(await drawnState()).toBe('revoked')
    }
  }
  expect(isStopped).toBe(true)
  // Lifted: it begins anew, and what it had before is still dead.
  expect((await asAgent('anew.jwt')).code).toBe(0)
  const sessions = JSON.parse((await errand(['sessions', '--config', config(), '--json'], { cwd: directory })).out) as {
    sessions: { state: string }[]
  }
  expect(sessions.sessions.map(({ state }) => state).sort()).toEqual(['active', 'revoked'])
}, 120_000)

async function drawnState(): Promise<string | undefined> {
  const { out } = await errand(['sessions', '--config', config(), '--json'], { cwd: directory })
  return (JSON.parse(out) as { sessions: { state: string }[] }).sessions[0]?.state
}

test('commands named in its text exist, with their options', async () => {
  const { COMMANDS } = await import('../support/commands.ts')
  for (const [, line = ''] of PAGE.matchAll(/`errand ([a-z][^`]*)`/g)) {
    const command = COMMANDS.filter(({ name }) => line === name || line.startsWith(`${name} `)).at(-1)
    expect([line, command === undefined]).toEqual([line, false])
    for (const [, option = ''] of line.matchAll(/--([a-z-]+)/g)) {
      expect([line, option, Object.hasOwn(command?.options ?? {}, option)]).toEqual([line, option, true])
    }
  }
})
