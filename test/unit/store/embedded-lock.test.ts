import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/kernel/clock.ts'
import { lockDirectory } from '../../../src/store/embedded-lock.ts'
import { openStore } from '../../../src/store/open-store.ts'
import { StoreUnavailable } from '../../../src/store/ports.ts'
import { runChild } from '../../support/child.ts'

let directory: string
let lockPath: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'errand-lock-'))
  lockPath = join(directory, 'errand.lock')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const HOLDER = new URL('./lock-holder.ts', import.meta.url)
const open = () => openStore({ kind: 'embedded', directory, org: 'acme', clock: systemClock })

/** The pid of a process that has just ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ['-e', '0']).pid
}

function holder(rest: object): string {
  return JSON.stringify({ host: hostname(), pid: deadPid(), started: 'boot 1', nonce: 'n', ...rest })
}

describe('the lock of a directory', () => {
  it('is not given up by a process that has no file descriptor left to look with', () => {
    const source = new URL('../../../src/store/embedded-lock.ts', import.meta.url)
    const program = `
      import { openSync } from 'node:fs'
      import { lockDirectory } from '${source}'
      const lock = lockDirectory('${directory}')
      try { for (;;) openSync('/dev/null') } catch { process.stdout.write(String(lock.touch())) }`
    const args = ['ulimit -n 64 && exec "$0" "$@"', process.execPath, '--input-type=module', '-e', program]
    expect(spawnSync('sh', ['-c', ...args], { encoding: 'utf8' }).stdout).toBe('true')
  })

  it('refuses a second process, naming the first and what to do', async () => {
    const store = await open()
    const other = runChild(HOLDER, [directory])
    expect(await other.exited).toBe(0)
    expect(other.lines.join()).toContain(`in use by process ${process.pid} on ${hostname()}`)
    expect(other.lines.join()).toMatch(/^StoreUnavailable: .*belongs to one process.*Redis/)
    await store.close()
  })

  it('refuses a second opening by the same process, and leaves the first at work', async () => {
    const store = await open()
    await expect(open()).rejects.toThrow(/in use by process/)
    expect(await store.claims.claim('still', 'works', Date.now() + 60_000)).toBe(true)
    await store.close()
  })

  it('is free again after close, and leaves nothing behind', async () => {
    await (await open()).close()
    expect(readdirSync(directory).filter((name) => name.includes('lock') && !name.includes('mdb'))).toEqual([])
    await (await open()).close()
  })

  it('of a process killed with SIGKILL is taken over at once', async () => {
    const other = runChild(HOLDER, [directory])
    await new Promise<void>((resolve) => other.onLine(() => resolve()))
    expect(other.lines).toEqual(['open'])
    await expect(open()).rejects.toThrow(`process ${other.process.pid}`)
    await other.kill()
    expect(existsSync(lockPath)).toBe(true)
    await (await open()).close()
  })

  it.each([
    ['a process that is gone', () => holder({})],
    ['a process whose pid another has now', () => holder({ pid: process.ppid, started: 'another boot 17' })],
    [
      'an earlier process with our own pid, as in a container',
      () => holder({ pid: process.pid, started: 'earlier 1' }),
    ],
    ['nobody: an empty file', () => ''],
    ['nobody: not JSON', () => 'pid 17'],
    ['nobody: JSON of something else', () => 'null'],
  ])('is stale when it names %s', (_, text) => {
    writeFileSync(lockPath, text())
    const lock = lockDirectory(directory)
    expect(JSON.parse(readFileSync(lockPath, 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() })
    expect(lock.touch()).toBe(true)
    lock.release()
    expect(readdirSync(directory)).toEqual([])
  })

  it('of another host is respected while it is touched, and stale when that ended', () => {
    writeFileSync(lockPath, holder({ host: 'another-container' }))
    expect(() => lockDirectory(directory)).toThrow(/on another-container/)
    const longAgoS = Date.now() / 1000 - 11
    utimesSync(lockPath, longAgoS, longAgoS)
    lockDirectory(directory).release()
  })

  it('is touched while it is held, so that other hosts see that its holder lives', async () => {
    const store = await open()
    const longAgoS = Date.now() / 1000 - 11
    utimesSync(lockPath, longAgoS, longAgoS)
    await expect.poll(() => Date.now() - statSync(lockPath).mtimeMs).toBeLessThan(2_000)
    await store.close()
  })

  it('once lost stops the store: two writers would each miss the revocations of the other', async () => {
    const store = await open()
    writeFileSync(lockPath, holder({ host: 'another-container' }))
    const isStopped = () =>
      store.ping().then(
        () => false,
        () => true,
      )
    await expect.poll(isStopped).toBe(true)
    await expect(store.claims.claim('key', 'nonce', Date.now() + 60_000)).rejects.toThrow(StoreUnavailable)
    await expect(store.ping()).rejects.toThrow(/another process has taken the lock/)
    await store.close()
    // It was not ours any more: it stays.
    expect(JSON.parse(readFileSync(lockPath, 'utf8'))).toMatchObject({ host: 'another-container' })
  })

  it('lets exactly one of several processes through that start at once on a stale lock', async () => {
    writeFileSync(lockPath, holder({}))
    const starters = Array.from({ length: 5 }, () => runChild(HOLDER, [directory]))
    await Promise.all(starters.map((child) => new Promise<void>((resolve) => child.onLine(() => resolve()))))
    expect(starters.filter((child) => child.lines[0] === 'open')).toHaveLength(1)
    for (const child of starters) await child.kill()
  })
})
