/**
 * Connections that are held and not used (H28, H31): slow headers, slow bodies, silence, answers that nobody reads, more of
 * them than there is room for. Each is ended in time, and neighbours are served all the while.
 */
import { connect as connectTls } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Listening, listen } from '../../src/http/listener.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { aWhile } from '../support/patience.ts'
import { listenTo, Wire } from '../support/raw-http.ts'
import { startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ realClock: true })
})
afterAll(() => world.close())

const HEAD = 'POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n'
const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'

const wires: Wire[] = []
async function open(listener: Listening, localAddress = '127.0.0.1'): Promise<Wire> {
  const wire = await Wire.open(listener.port, localAddress)
  wires.push(wire)
  return wire
}
/** One that is served at once, from an address of its own. */
async function neighbour(listener: Listening): Promise<number | undefined> {
  const wire = await open(listener, '127.0.0.2')
  wire.send(HEALTH)
  const { answers } = await wire.answers(1)
  wire.close()
  return answers[0]?.status
}
function closeAll(): void {
  for (const wire of wires.splice(0)) wire.close()
}
afterEach(closeAll)

/** What strangers were counted for since the last time. */
async function counted(): Promise<readonly (readonly [string, number])[]> {
  await world.broker.flushAudit()
  const sums: Record<string, number> = {}
  for (const record of await world.audit(1_000)) {
    if (seen.has(record.id)) continue
    seen.add(record.id)
    for (const [reason, , count] of record.strangers ?? []) sums[reason] = (sums[reason] ?? 0) + count
  }
  return Object.entries(sums).sort()
}
const seen = new Set<string>()
beforeEach(counted)

describe('H28: time', () => {
  let listener: Listening
  beforeAll(async () => {
    listener = await listenTo(world, { headersMs: 300, requestMs: 600, checkMs: 50 })
  })
  afterAll(() => listener.stop())

  /** Says its lines one byte at a time until the other end has enough. */
  async function dribble(wire: Wire, start: string): Promise<void> {
    wire.send(start)
    const timer = setInterval(() => wire.send('x'), 20)
    try {
      const { answers } = await wire.ended()
      expect(answers.map(({ status, body }) => [status, body.error])).toEqual([[408, 'invalid_request']])
      expect(answers[0]?.headers.get('cache-control')).toBe('no-store')
    } finally {
      clearInterval(timer)
    }
  }

  test('silence, slow headers and slow bodies are ended with 408, however steadily bytes arrive', async () => {
    const starts = ['', 'POST /tok', HEAD, `${HEAD}X: `, `${HEAD}Content-Length: 60000\r\n\r\n`]
    const chunkedStart = `${HEAD}Transfer-Encoding: chunked\r\n\r\nffff\r\n`
    await Promise.all([...starts.slice(1), chunkedStart].map(async (start) => dribble(await open(listener), start)))
    const silent = await (await open(listener)).ended()
    expect(silent.answers.map(({ status }) => status)).toEqual([408])
    expect(await counted()).toEqual([
      ['body_malformed', 2],
      ['request_timeout', 4],
    ])
  })

  test('a request that ends in time is served, though it was slow', async () => {
    const patient = await listenTo(world)
    const wire = await open(patient)
    for (const piece of HEALTH.match(/.{1,8}/gs) ?? []) {
      wire.send(piece)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect((await wire.answers(1)).answers[0]?.status).toBe(200)
    closeAll()
    await patient.stop()
  })

  test('who leaves in the middle of a body is a stranger, not a fault of ours', async () => {
    for (let times = 0; times < 5; times += 1) {
      const wire = await open(listener)
      wire.send(`${HEAD}Content-Length: 60000\r\n\r\na=1`)
      await new Promise((resolve) => setTimeout(resolve, 20))
      wire.close()
    }
    await aWhile(100)
    // A fault would not be counted among these.
    expect(await counted()).toEqual([['body_malformed', 5]])
    expect((await world.audit(1_000)).filter(({ event }) => event !== 'strangers.refused')).toEqual([])
  })

  test('a hundred slow connections do not slow a neighbour', async () => {
    const slow = await Promise.all(Array.from({ length: 100 }, () => open(listener)))
    const timer = setInterval(() => {
      for (const wire of slow) wire.send('x')
    }, 20)
    for (const [index, wire] of slow.entries())
      wire.send(index % 2 === 0 ? HEAD : `${HEAD}Content-Length: 60000\r\n\r\n`)
    const times: number[] = []
    for (let round = 0; round < 20; round += 1) {
      const begun = performance.now()
      expect(await neighbour(listener)).toBe(200)
      times.push(performance.now() - begun)
    }
    clearInterval(timer)
    // A generous bound: every one of them is far below the time a slow one is given.
    expect(times.sort((a, b) => a - b)[10]).toBeLessThan(200)
    for (const wire of slow) expect((await wire.ended()).answers.map(({ status }) => status)).toEqual([408])
  })
})

describe('H28: number', () => {
  let listener: Listening
  beforeEach(async () => {
    listener = await listenTo(world, { connections: 20, connectionsPerPeer: 10 })
  })
  afterEach(() => {
    closeAll()
    return listener.stop()
  })

  test('one address holds no more than its share: its own oldest gives way, and others are served', async () => {
    const held: Wire[] = []
    for (let index = 0; index < 15; index += 1) {
      const wire = await open(listener)
      wire.send(HEAD)
      held.push(wire)
    }
    expect(await neighbour(listener)).toBe(200)
    const ended = () => held.map(({ closed }) => closed)
    await expect.poll(ended).toEqual([...Array(5).fill(true), ...Array(10).fill(false)])
    expect(await counted()).toEqual([['connections_exceeded', 5]])
  })

  test('many addresses together do not keep others out either', async () => {
    const held: Wire[] = []
    for (let index = 0; index < 30; index += 1) {
      const wire = await open(listener, `127.0.1.${1 + (index % 6)}`)
      wire.send(index % 2 === 0 ? HEAD : `${HEAD}Content-Length: 60000\r\n\r\n`)
      held.push(wire)
      // One after the other, so that it is known who is oldest.
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(await neighbour(listener)).toBe(200)
    await expect.poll(() => held.filter(({ closed }) => closed).length).toBe(11)
    expect(held.slice(0, 11).every(({ closed }) => closed)).toBe(true)
  })

  test('a connection that is being answered is not the one that gives way', async () => {
    let answer = () => {}
    let isAsked = false
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const fetch = async () => {
      isAsked = true
      await answered
      return new Response('done', { headers: { 'Content-Length': '4' } })
    }
    const answering = {
      app: { fetch },
      countUnread: () => undefined,
      readiness: { stop: () => undefined },
      endStreams: () => undefined,
      close: async () => undefined,
    }
    const bounds = { connections: 20, connectionsPerPeer: 10, headersMs: 5_000, requestMs: 5_000, checkMs: 50 }
    const slow = await listen(answering, { host: '127.0.0.1', port: 0 }, bounds)
    const busy = await open(slow)
    busy.send(HEALTH)
    await expect.poll(() => isAsked).toBe(true)
    for (let index = 0; index < 12; index += 1) (await open(slow)).send(HEAD)
    expect(busy.closed).toBe(false)
    answer()
    expect((await busy.answers(1)).answers[0]?.text).toBe('done')
    closeAll()
    await slow.stop()
  })

  test('who has gone is not counted', async () => {
    for (let index = 0; index < 50; index += 1) {
      const wire = await open(listener)
      wire.send(HEALTH)
      expect((await wire.answers(1)).answers[0]?.status).toBe(200)
      wire.close()
    }
    expect(await counted()).toEqual([])
  })
})

describe('H28: on a port that speaks TLS', () => {
  let listener: Listening
  let authority: Authority
  beforeAll(async () => {
    authority = await makeAuthority()
    listener = await listenTo(
      world,
      { headersMs: 300, requestMs: 600, connections: 20, connectionsPerPeer: 10 },
      await authority.issue({}),
    )
  })
  afterAll(() => {
    closeAll()
    return listener.stop()
  })

  const secure = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({ port: listener.port, host: '127.0.0.1', ca: authority.certificate }, () => {
        socket.write(text)
      })
      let received = ''
      socket.on('data', (bytes) => {
        received += bytes.toString()
      })
      socket.on('close', () => resolve(received))
      socket.on('error', reject)
    })

  test('handshakes that do not end, or are none, are ended in time', async () => {
    const starts = ['', HEALTH, '\x16\x03\x01\x02\x00\x01', '\xff\xff\xff\xff\xff\xff']
    await Promise.all(
      starts.map(async (start) => {
        const wire = await open(listener)
        wire.send(start)
        await expect.poll(() => wire.closed).toBe(true)
        expect(wire.received).not.toContain('HTTP/1.1 200')
      }),
    )
  })

  test('behind the handshake everything is as on a plain port', async () => {
    expect(await secure('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toContain('HTTP/1.1 200')
    expect(await secure('GET /%6awks HTTP/1.1\r\nHost: x\r\n\r\n')).toContain('HTTP/1.1 400')
    expect(await secure('\0\0\0\0')).toContain('HTTP/1.1 400')
    expect(await secure(HEAD)).toContain('HTTP/1.1 408')
    expect(await secure(`${HEAD}Content-Length: 60000\r\n\r\n`)).toContain('HTTP/1.1 408')
    const many = await secure(HEALTH.repeat(100))
    expect(many.match(/HTTP\/1.1 (200|400)/g)).toHaveLength(17)
  })

  test('one address holds no more than its share', async () => {
    const held: Wire[] = []
    for (let index = 0; index < 15; index += 1) held.push(await open(listener))
    await expect.poll(() => held.filter(({ closed }) => closed).length).toBeGreaterThanOrEqual(5)
  })
})
