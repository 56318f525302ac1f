/**
 * The end of a broker, as a supervisor sees it (H72): within ten seconds of SIGTERM whatever holds it up, at once on a second
 * signal; `drain` shows that nothing is lost on the way.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { until } from '../support/broker-process.ts'
import { runChild } from '../support/child.ts'
import { isRefusedAt, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'

const STOP_MS_MAX = 10_000
/** Not what requests in flight are given, which is seven seconds: it does not wait. */
const AT_ONCE_MS_MAX = 5_000
const UNFINISHED =
  'POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\na'

let directory: string
let port: number
let broker: Serving
const ends: (() => void)[] = []

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-stop-'))
  port = await freePort()
})
afterEach(async () => {
  for (const end of ends.splice(0)) end()
  broker?.signal('SIGKILL')
  await broker?.ended
  rmSync(directory, { recursive: true, force: true })
})

const start = async (workers: readonly string[] = []) => {
  broker = await serveErrand(['--development', '--port', String(port), ...workers], directory)
}

/** A client that begins a request and never ends it: the broker has read its head. */
async function hang(): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  ends.push(() => socket.destroy())
  await new Promise<void>((connected) => socket.once('connect', () => connected()))
  socket.write(UNFINISHED)
  await once(socket, 'data')
}

/** How many milliseconds it took, and how it ended. */
async function ended(): Promise<{ readonly ms: number; readonly code: number | null }> {
  const begun = performance.now()
  const code = await broker.ended
  return { ms: performance.now() - begun, code }
}

test('a request that is never finished holds the end up for less than ten seconds', async () => {
  await start()
  await hang()
  broker.signal('SIGTERM')
  const { ms, code } = await ended()
  expect(ms).toBeGreaterThan(1_000)
  expect([ms < STOP_MS_MAX, code]).toEqual([true, 0])
})

test.each([
  // Killed by its own hand: `exit` would wait for writes.
  ['SIGTERM', 'SIGTERM', [], null],
  ['SIGINT', 'SIGINT', [], null],
  ['SIGTERM', 'SIGINT', ['--workers', '2'], 1],
] as const)('%s, then %s: it does not wait (%s)', async (first, second, workers, exit) => {
  await start(workers)
  await hang()
  broker.signal(first)
  // It has heard of the first.
  await until(() => isRefusedAt(port))
  broker.signal(second)
  const { ms, code } = await ended()
  expect([ms < AT_ONCE_MS_MAX, code]).toEqual([true, exit])
})

test('a disk that stands still holds the end up for less than ten seconds, too', async () => {
  await start()
  const file = join(directory, '.errand', 'data', 'errand.mdb')
  const disk = runChild(new URL('./hold-writes.ts', import.meta.url), [file])
  ends.push(() => void disk.kill())
  await until(async () => disk.lines.includes('held'))
  // A stranger is counted, and the count has yet to be written.
  await fetch(`http://127.0.0.1:${port}/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'x' }) })
  broker.signal('SIGTERM')
  expect((await ended()).ms).toBeLessThan(STOP_MS_MAX)
})
