/**
 * HTTP requests, changed in their bytes and cut into pieces, on a real socket: whatever comes back is HTTP and no fault, the
 * connection ends or goes on, and the broker serves the next one. `FUZZ_SEED` runs the bytes of a seed that failed elsewhere
 * again.
 */
import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Listening } from '../../src/http/listener.ts'
import { Chance } from '../support/chance.ts'
import { converse, listenTo, Wire } from '../support/raw-http.ts'
import { startWorld, type World } from '../support/world.ts'
import { seedOf } from './harness.ts'
import { mutate } from './mutate.ts'

const SEED = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31))
const MILLISECONDS = 5_000
/** Connections at once. */
const BATCH = 25

let world: World
let listener: Listening
beforeAll(async () => {
  world = await startWorld({ realClock: true })
  listener = await listenTo(world, { headersMs: 250, requestMs: 250, checkMs: 20 })
})
afterAll(async () => {
  await listener.stop()
  await world.close()
})

const FORM = 'Content-Type: application/x-www-form-urlencoded'
const CORPUS = [
  'GET /jwks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  `POST /token HTTP/1.1\r\nHost: x\r\n${FORM}\r\nContent-Length: 29\r\n\r\ngrant_type=client_credentials`,
  `POST /token HTTP/1.1\r\nHost: x\r\n${FORM}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na=1&b\r\n0\r\n\r\n`,
  `POST /revoke HTTP/1.1\r\nHost: x\r\n${FORM}\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\ntoken=x`,
  'GET /sessions/ses_x?limit=5 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\nX-Request-Id: r\r\n\r\n',
  'OPTIONS /jwks HTTP/1.1\r\nHost: x\r\nOrigin: https://o.example\r\nAccess-Control-Request-Method: GET\r\n\r\n',
  'GET http://x/healthz HTTP/1.0\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n\r\nGET /jwks HTTP/1.1\r\nHost: x\r\n\r\n',
]

async function attempt(number: number): Promise<void> {
  const chance = new Chance(seedOf(SEED, 'http-bytes', number))
  const bytes = mutate(CORPUS, chance)
  const wire = await Wire.open(listener.port)
  try {
    const cut = chance.below(bytes.length + 1)
    wire.send(bytes.slice(0, cut))
    if (chance.below(2) === 0) await new Promise((resolve) => setImmediate(resolve))
    wire.send(bytes.slice(cut))
    if (chance.below(4) === 0) wire.socket.end()
    const { answers, raw } = await wire.answers(1)
    const what = `FUZZ_SEED=${SEED}, bytes ${number}: ${JSON.stringify(bytes).slice(0, 300)} gave ${raw.slice(0, 300)}`
    for (const { status, headers, body } of answers) {
      expect([200, 204, 400, 401, 404, 405, 408, 413, 431], what).toContain(status)
      expect(body?.access_token, what).toBeUndefined()
      if (status >= 400) expect(headers.get('cache-control'), what).toBe('no-store')
    }
    expect(raw, what).not.toMatch(/node:|\.ts:\d|at \w+ \(/)
  } finally {
    wire.close()
  }
}

test('bytes near HTTP are answered as HTTP, or not at all, and never end the broker', async () => {
  const until = performance.now() + MILLISECONDS
  let number = 0
  while (performance.now() < until) {
    await Promise.all(Array.from({ length: BATCH }, (_, index) => attempt(number + index)))
    number += BATCH
    const health = await converse(listener.port, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(health.answers[0]?.status, `FUZZ_SEED=${SEED}, up to bytes ${number}`).toBe(200)
  }
  expect(await world.sessions()).toEqual([])
})
