/** A page of `deploy/runbooks`, run line by line against a real broker: each block of commands in its order, as a shell runs it. */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect } from 'vitest'
import { COMMANDS } from './commands.ts'
import { errand, type Ran, serveErrand } from './errand-command.ts'
import { freePort } from './free-port.ts'

const ROOT = resolve(import.meta.dirname, '../..')

interface Block {
  readonly commands: string
  /** Lines that the answer must have, `…` standing for anything. */
  readonly expected: readonly string[]
}

export interface Runbook {
  readonly blocks: readonly Block[]
  /** The demo agent gets a token of its own, into this file. */
  asAgent(out: string): Promise<Ran>
  /** Of every session, the newest first. */
  states(): Promise<readonly string[]>
  /** Every block must end well and answer as the page shows it; `after` each, what the page does not show is looked at. */
  play(after: (commands: string) => Promise<void>): Promise<void>
  close(): void
}

export const readPage = (name: string): string => readFileSync(join(ROOT, 'deploy/runbooks', name), 'utf8')

export async function startRunbook(page: string): Promise<Runbook> {
  const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```(?:\n\n```text\n([\s\S]*?)```)?/g)].map(
    ([, commands = '', expected = '']) => ({ commands, expected: expected.split('\n').filter((line) => line !== '') }),
  )
  const directory = mkdtempSync(join(tmpdir(), 'errand-runbook-'))
  const config = join(directory, '.errand/errand.yaml')
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'errand'), `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, 'src/main.ts')}" "$@"\n`)
  chmodSync(join(bin, 'errand'), 0o755)
  const broker = await serveErrand(['--development', '--port', String(await freePort())], directory)
  const shell = (commands: string): Promise<{ code: number; out: string }> => {
    const env = { PATH: `${bin}:${process.env['PATH']}`, ERRAND_CONFIG: config, HOME: directory }
    return new Promise((done) => {
      execFile('/bin/sh', ['-euc', commands], { cwd: directory, env }, (fault, out, err) => {
        done({ code: fault === null ? 0 : Number(fault.code), out: out + err })
      })
    })
  }
  const asked = ['exchange', '--config', config, '--client', 'demo-agent', '--resource', 'https://notes.example/mcp']
  return {
    blocks,
    asAgent: (out) => errand([...asked, '--out', out], { cwd: directory }),
    async states() {
      const { out } = await errand(['sessions', '--config', config, '--json'], { cwd: directory })
      return (JSON.parse(out) as { sessions: { state: string }[] }).sessions.map(({ state }) => state)
    },
    async play(after) {
      const assignments: string[] = []
      for (const { commands, expected } of blocks) {
        // One shell for one block; variables that earlier blocks set come first.
        const { code, out } = await shell([...assignments, commands].join('\n'))
        expect([commands, code, out]).toEqual([commands, 0, out])
        for (const line of expected) {
          const isThere = out.split('\n').some((one) => isLike(one, line))
          expect([commands, line, isThere], out).toEqual([commands, line, true])
        }
        assignments.push(...commands.split('\n').filter((line) => /^[A-Z]+=[a-z-]+$/.test(line)))
        await after(commands)
      }
    },
    close() {
      broker.signal('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function isLike(line: string, expected: string): boolean {
  let at = 0
  for (const part of expected.split('…')) {
    const found = line.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return expected.startsWith('…') || line.startsWith(expected.split('…')[0] ?? '')
}

/** Commands named in the text of a page exist, with their options. */
export function expectCommandsExist(page: string): void {
  for (const [, line = ''] of page.matchAll(/`errand ([a-z][^`]*)`/g)) {
    const command = COMMANDS.filter(({ name }) => line === name || line.startsWith(`${name} `)).at(-1)
    expect([line, command === undefined]).toEqual([line, false])
    for (const [, option = ''] of line.matchAll(/--([a-z-]+)/g)) {
      expect([line, option, Object.hasOwn(command?.options ?? {}, option)]).toEqual([line, option, true])
    }
  }
}
