/**
 * One broker per directory: one process, or the workers of one parent that holds the lock for them. Two brokers on one
 * directory would each believe in a configuration and a policy of their own.
 *
 * The lock is a file that names its holder and is touched while held. A lock is stale if its holder is gone: on this host,
 * no such process (a reused pid is told by its start time); on another host (containers on one volume), no touch for 10 s.
 */
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../kernel/clock.ts'
import { codeOf } from '../kernel/fault.ts'
import { newNonce } from '../kernel/ids.ts'
import { StoreUnavailable } from './ports.ts'

const UNTOUCHED_MS_MAX = 10_000
const ATTEMPTS = 3

interface Holder {
  readonly host: string
  readonly pid: number
  /** What the kernel knows of the process's start; empty where it does not tell. */
  readonly started: string
  readonly nonce: string
}

export interface DirectoryLock {
  /** Shows that the holder lives; `false`: somebody took the lock away, stop writing. */
  touch(): boolean
  release(): void
}

export function lockDirectory(directory: string): DirectoryLock {
  const path = join(directory, 'errand.lock')
  const own: Holder = { host: hostname(), pid: process.pid, started: processStart(process.pid), nonce: newNonce() }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (acquire(path, own)) return held(path, own)
    const found = readText(path)
    if (found === undefined) continue
    const holder = parseHolder(found)
    if (holder !== undefined && isAlive(holder, path)) {
      throw new StoreUnavailable(
        `${directory} is in use by process ${holder.pid} on ${holder.host}: an embedded store belongs to one process. ` +
          'Stop that one, use another directory, or use the Redis store for several brokers.',
      )
    }
    discard(path, found, own.nonce)
  }
  throw new StoreUnavailable(`${path} could not be locked: several processes are starting on this directory at once`)
}

/**
 * The lock that this process's parent holds for it and its siblings: the processes on a directory all belong to one broker.
 * Whoever takes it away from the parent takes it from all of them.
 */
export function joinLock(directory: string, holderPid: number): DirectoryLock {
  const path = join(directory, 'errand.lock')
  const text = readText(path) ?? ''
  const holder = parseHolder(text)
  if (holder === undefined || holder.host !== hostname() || holder.pid !== holderPid) {
    throw new StoreUnavailable(`${directory} is not held by process ${holderPid}, which started this one`)
  }
  return { touch: () => mayStillSay(path, text), release: () => undefined }
}

/** `link` fails if the name exists, and the file is complete before it has the name. */
function acquire(path: string, own: Holder): boolean {
  const draft = `${path}.${own.nonce}`
  writeFileSync(draft, JSON.stringify(own), { mode: 0o600 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw new StoreUnavailable(`${path} cannot be created`, error)
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Moves a stale lock away; if another starter replaced it in between, theirs is put back. */
function discard(path: string, stale: string, nonce: string): void {
  const aside = `${path}.stale.${nonce}`
  try {
    renameSync(path, aside)
    if (readText(aside) !== stale) linkSync(aside, path)
  } catch {
    // Another starter was faster; the next attempt sees what they left.
  } finally {
    rmSync(aside, { force: true })
  }
}

function held(path: string, own: Holder): DirectoryLock {
  const text = JSON.stringify(own)
  return {
    touch() {
      if (!mayStillSay(path, text)) return false
      const nowS = systemClock.nowMs() / 1000
      try {
        utimesSync(path, nowS, nowS)
        return true
      } catch {
        return false
      }
    },
    release() {
      if (readText(path) === text) rmSync(path, { force: true })
    },
  }
}

/** A process that has no file descriptor left cannot look: no sign that somebody took the lock, and no reason to stop for good. */
function mayStillSay(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8') === text
  } catch (error) {
    return ['EMFILE', 'ENFILE'].includes(codeOf(error))
  }
}

function isAlive(holder: Holder, path: string): boolean {
  if (holder.host !== hostname()) return systemClock.nowMs() - touchedAtMs(path) < UNTOUCHED_MS_MAX
  if (holder.pid === process.pid) return holder.started === processStart(process.pid)
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    // EPERM: it exists, but belongs to another user.
    if (codeOf(error) !== 'EPERM') return false
  }
  const started = processStart(holder.pid)
  return started === '' || holder.started === '' || started === holder.started
}

/** Linux: boot id and start tick, field 22 of `/proc/<pid>/stat`, counted behind the command name, which may hold spaces. */
function processStart(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`)
  const boot = readText('/proc/sys/kernel/random/boot_id')
  if (stat === undefined || boot === undefined) return ''
  const tick = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  return tick === undefined ? '' : `${boot.trim()} ${tick}`
}

function touchedAtMs(path: string): number {
  try {
    return statSync(path).mtimeMs
  } catch {
    return 0
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** `undefined`: a lock nobody can have written, such as an empty file left by a full disk. */
function parseHolder(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null
    if (typeof value?.host !== 'string' || typeof value.pid !== 'number' || typeof value.started !== 'string')
      return undefined
    return { host: value.host, pid: value.pid, started: value.started, nonce: String(value.nonce) }
  } catch {
    return undefined
  }
}
