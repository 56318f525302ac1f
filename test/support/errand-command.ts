/** The real `errand` command as a child process, with everything it wrote. */
import { type ChildProcess, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { childEnvironment } from './child.ts'

const MAIN = join(resolve(import.meta.dirname, '../..'), 'src', 'main.ts')

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly cwd: string
  /** Piped in; otherwise the input is empty. */
  readonly input?: string
}

export function errand(args: readonly string[], { cwd, input = '' }: RunOptions): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: childEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => undefined) // it may end without reading
  child.stdin.end(input)
  return finished(child)
}

/** What it has written, when it has ended. */
export function finished(child: ChildProcess): Promise<Ran> {
  let out = ''
  let err = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  return new Promise((done, fail) => {
    child.once('error', fail)
    child.once('close', (code) => done({ code, out, err }))
  })
}

export interface Serving {
  /** What it has written so far, to both streams. */
  written(): string
  signal(name: NodeJS.Signals): void
  readonly pid: number
  /** After a signal: how it ended. */
  readonly ended: Promise<number | null>
}

/** Starts `errand serve …` and waits until it says that it is ready. */
export async function serveErrand(args: readonly string[], cwd: string): Promise<Serving> {
  const child = spawn(process.execPath, [MAIN, 'serve', ...args], {
    cwd,
    env: childEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let written = ''
  const ended = new Promise<number | null>((done) => child.once('close', done))
  await new Promise<void>((ready, fail) => {
    const add = (text: string) => {
      written += text
      if (written.includes('ready')) ready()
    }
    child.stdout.setEncoding('utf8').on('data', add)
    child.stderr.setEncoding('utf8').on('data', add)
    child.once('close', () => fail(new Error(`it ended before it was ready: ${written}`)))
  })
  return { written: () => written, signal: (name) => void child.kill(name), pid: child.pid ?? 0, ended }
}

export interface RunningProgram {
  out(): string
  err(): string
  /** SIGTERM, and wait until it has ended. */
  stop(): Promise<number | null>
}

/** Starts a command that stays, and waits for its first line on stdout, or its end. */
export async function startErrand(args: readonly string[], cwd: string): Promise<RunningProgram> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: childEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  const ended = new Promise<number | null>((done) => child.once('close', done))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const started = new Promise<void>((ready) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
      if (out.includes('\n')) ready()
    })
  })
  await Promise.race([started, ended])
  return {
    out: () => out,
    err: () => err,
    async stop() {
      child.kill('SIGTERM')
      return ended
    },
  }
}

/** Whether nobody listens there, as where a broker has begun to stop. */
export function isRefusedAt(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1')
    const told = (is: boolean) => () => {
      socket.destroy()
      done(is)
    }
    socket.once('connect', told(false)).once('error', told(true))
  })
}

/** Text that is, or begins, a token of any kind. */
export const TOKEN_TEXT = /eyJ[\w-]{8,}\./
