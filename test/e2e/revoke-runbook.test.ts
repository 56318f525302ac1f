/**
 * The page on revoking, run line by line against a real broker: each block of commands in its order, each answer as the page
 * shows it; and the token it is about lives through every dry run, and dies of what is done.
 */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COMMANDS } from '../support/commands.ts'
import { errand, freePort, type Serving, serveErrand } from '../support/errand-command.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PAGE = readFileSync(join(ROOT, 'deploy/runbooks/revoke.md'), 'utf8')
const blocks = [...PAGE.matchAll(/```sh\n([\s\S]*?)```(?:\n\n```text\n([\s\S]*?)```)?/g)].map(
  ([, commands = '', expected = '']) => ({ commands, expected: expected.split('\n').filter((line) => line !== '') }),
)

let directory = ''
let broker: Serving
const config = () => join(directory, '.errand/errand.yaml')
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-revoke-'))
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'errand'), `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, 'src/main.ts')}" "$@"\n`)
  chmodSync(join(bin, 'errand'), 0o755)
  broker = await serveErrand(['--development', '--port', String(await freePort())], directory)
})
afterAll(() => {
  broker?.signal('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

function shell(commands: string): Promise<{ code: number; out: string }> {
  const env = { PATH: `${join(directory, 'bin')}:${process.env['PATH']}`, ERRAND_CONFIG: config(), HOME: directory }
  return new Promise((done) => {
    execFile('/bin/sh', ['-euc', commands], { cwd: directory, env }, (fault, out, err) => {
      done({ code: fault === null ? 0 : Number(fault.code), out: out + err })
    })
  })
}

const isLike = (line: string, expected: string) => {
  let at = 0
  for (const part of expected.split('…')) {
    const found = line.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return expected.startsWith('…') || line.startsWith(expected.split('…')[0] ?? '')
}

async function states(): Promise<readonly string[]> {
  const { out } = await errand(['sessions', '--config', config(), '--json'], { cwd: directory })
  return (JSON.parse(out) as { sessions: { state: string }[] }).sessions.map(({ state }) => state).sort()
}

test('every command of the page answers as the page says, and only what is done is done', async () => {
  const asked = ['exchange', '--config', config(), '--client', 'demo-agent', '--resource', 'https://notes.example/mcp']
  expect((await errand([...asked, '--out', 'before.jwt'], { cwd: directory })).code).toBe(0)
  const assignments: string[] = []
  const seen: (readonly string[])[] = []
  for (const { commands, expected } of blocks) {
    const { code, out } = await shell([...assignments, commands].join('\n'))
    expect([commands, code, out]).toEqual([commands, 0, out])
    for (const line of expected) {
      expect([commands, line, out.split('\n').some((one) => isLike(one, line))], out).toEqual([commands, line, true])
    }
    assignments.push(...commands.split('\n').filter((line) => /^[A-Z]+=[a-z-]+$/.test(line)))
    seen.push(await states())
  }
  // Sessions live through the dry run, the tool and the server; the build's own dies, and the one after that is closed.
  expect(seen.map((now) => now.join(' '))).toEqual([
    ...Array(4).fill('active'),
    ...Array(3).fill('revoked'),
    'closed revoked',
  ])
}, 180_000)

test('commands named in its text exist, with their options', () => {
  for (const [, line = ''] of PAGE.matchAll(/`errand ([a-z][^`]*)`/g)) {
    const command = COMMANDS.filter(({ name }) => line === name || line.startsWith(`${name} `)).at(-1)
    expect([line, command === undefined]).toEqual([line, false])
    for (const [, option = ''] of line.matchAll(/--([a-z-]+)/g)) {
      expect([line, option, Object.hasOwn(command?.options ?? {}, option)]).toEqual([line, option, true])
    }
  }
})
