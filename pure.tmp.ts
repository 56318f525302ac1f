import { writeFileSync } from 'node:fs'
import { EventEmitter } from 'node:events'
import { Session } from 'node:inspector/promises'
import { startWorld, INTENT, TYPE, WAREHOUSE } from './test/support/world.ts'
const N = Number(process.env['N'] ?? 12000), profile = process.argv[2] === 'profile'
const world = await startWorld({ realClock: true, port: 4472 })
const store = world.broker.store as any
if (!process.env['EMB']) store.claims.claim = async () => true
if (!process.env['EMB']) store.sessions.commit = async () => ({ committed: true, repeated: false })
if (!process.env['EMB']) store.indexes.add = async () => undefined
const now = world.now()
const ids = Array.from({ length: 200 }, (_, i) => world.idToken({ jti: `u${i}` }))
const bodies: Buffer[] = []
for (let i = 0; i < N; i++) {
  const p = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: world.assertion('orchestrator', { exp: now + 280 }), subject_token: ids[i % 200]!, subject_token_type: TYPE.id, authorization_details: JSON.stringify(INTENT), resource: WAREHOUSE })
  bodies.push(Buffer.from(p.toString()))
}
const socket = { remoteAddress: '127.0.0.1' }
let bad = 0
const one = async (body: Buffer) => {
  const incoming = Object.assign(new EventEmitter(), { url: '/token', method: 'POST', socket, pause() {}, headers: {}, rawHeaders: ['Host', '127.0.0.1:4472', 'Content-Type', 'application/x-www-form-urlencoded', 'Content-Length', String(body.length), 'Connection', 'keep-alive'] })
  const answer = world.broker.app.fetch({ url: 'http://127.0.0.1:4472/token', method: 'POST' } as never, { incoming } as never)
  setImmediate(() => { incoming.emit('data', body); incoming.emit('end') })
  const r = await answer
  if (r.status !== 200) { bad++; if (bad < 3) console.log(await r.text()) }
}
const batch = async (from: number, to: number) => { let i = from; await Promise.all(Array.from({ length: 32 }, async () => { while (i < to) await one(bodies[i++]!) })) }
const warm = Math.floor(N * 0.4)
await batch(0, warm)
const s = new Session(); s.connect()
if (profile) { await s.post('Profiler.enable'); await s.post('Profiler.setSamplingInterval', { interval: 100 }); await s.post('Profiler.start') }
const m0 = (process as any).threadCpuUsage(), c0 = process.cpuUsage()
await batch(warm, N)
const m = (process as any).threadCpuUsage(m0), c = process.cpuUsage(c0), n = N - warm
if (profile) { const { profile: p } = await s.post('Profiler.stop') as any; writeFileSync('/tmp/prof/p.cpuprofile', JSON.stringify(p)) }
console.log(JSON.stringify({ n, bad, main: +((m.user + m.system) / n).toFixed(1), total: +((c.user + c.system) / n).toFixed(1) }))
process.exit(0)
