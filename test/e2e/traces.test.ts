/**
 * OpenTelemetry traces as a collector receives them: each request with its steps, in the trace of whoever asked, by the names of
 * those who acted; never a token or an argument; and a collector that is slow or gone is nobody's problem but its own.
 */
import { appendFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { SPAN_EXPORT_TIMEOUT_MS } from '../../src/kernel/telemetry-limits.ts'
import { type Span, traceNames, withinTrace } from '../../src/model/trace.ts'
import { Repeats } from '../../src/operate/repeats.ts'
import { accessFor, askingWarehouse, newAttempt, openLimited, warehouseAt } from '../support/calls.ts'
import { errand, serveErrand } from '../support/errand-command.ts'
import { startPdp } from '../support/external-pdp.ts'
import { freePort } from '../support/free-port.ts'
import { type Claims, granted } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { PATIENCE_MS, whenReady } from '../support/patience.ts'
import { never, type Receiver, startReceiver, status } from '../support/receiver.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { startWorld, WAREHOUSE, type World } from '../support/world.ts'

const upTo = (count: number) => Array.from({ length: count }, (_, each) => each)

const PARENT = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }
const traceparent = (flags = '01') => ({ traceparent: `00-${PARENT.trace}-${PARENT.span}-${flags}` })

let collector: Receiver
let idp: TestIssuer
let world: World
beforeAll(async () => {
  collector = await startReceiver()
  idp = await startIssuer({ slug: 'corp' })
  world = await traced()
})
afterAll(async () => {
  await world.close()
  await idp.close()
  await collector.close()
})
beforeEach(async () => {
  collector.reply(undefined)
  await world.broker.flushTraces()
  collector.all.length = 0
})

function traced(telemetry: Partial<Config['telemetry']> = {}, config: Partial<Config> = {}): Promise<World> {
  const given = { otlpEndpoint: collector.url, headersFile: undefined, caFile: undefined, sampleRatio: 1, ...telemetry }
  const metrics = { host: '127.0.0.1', port: 0, token: undefined }
  return startWorld({ issuer: idp, metrics, registry: askingWarehouse(idp), config: { ...config, telemetry: given } })
}

interface Told {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: number
  readonly status?: { readonly code: number }
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly of: Readonly<Record<string, unknown>>
}

/** All spans that the collector has been sent, their attributes as an object. */
async function spans(from: World = world): Promise<readonly Told[]> {
  await from.broker.flushTraces()
  return collector.all.flatMap(({ body }) => {
    const { resourceSpans } = JSON.parse(body)
    return resourceSpans.flatMap(({ scopeSpans }: Claims) =>
      scopeSpans.flatMap(({ spans: all }: Claims) =>
        all.map((span: Claims) => ({ ...span, of: Object.fromEntries(span.attributes.map(plainAttribute)) })),
      ),
    )
  })
}

const plainAttribute = ({ key, value }: Claims) => [
  key,
  value.arrayValue?.values.map((one: Claims) => one.stringValue) ?? Object.values(value)[0],
]

/** Lists are written behind an answer: a span of a request before may come late. */
const inTrace = (all: readonly Told[]) => all.filter(({ traceId }) => traceId === PARENT.trace)

const named = (all: readonly Told[], name: string) => all.filter((span) => span.name === name)

test('an exchange is one trace: the request, its steps in their order, and the calls to the store below them', async () => {
  const opened = await world.open()
  expect(opened.status).toBe(200)
  const all = await spans()
  expect(new Set(all.map(({ traceId }) => traceId)).size).toBe(1)
  const [root] = named(all, 'POST /token')
  expect(root?.parentSpanId).toBeUndefined()
  expect(root?.kind).toBe(2)
  const steps = all.filter(({ parentSpanId }) => parentSpanId === root?.spanId)
  const inOrder = [...steps].sort((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)))
  const names = inOrder.filter(({ kind }) => kind === 1).map(({ name }) => name)
  expect(names).toEqual(['authenticate', 'prove', 'verify', 'claim', 'decide', 'mint', 'commit'])
  const commit = named(all, 'sessions.commit')[0]
  expect([commit?.kind, commit?.parentSpanId]).toEqual([3, named(all, 'commit')[0]?.spanId])
  expect(commit?.of['db.operation.name']).toBe('sessions.commit')
  for (const { startTimeUnixNano, endTimeUnixNano, spanId } of all) {
    expect(spanId).toMatch(/^[0-9a-f]{16}$/)
    expect(BigInt(endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(startTimeUnixNano))
    expect(Math.abs(Number(BigInt(startTimeUnixNano) / 1_000_000n) - Date.now())).toBeLessThan(60_000)
  }
})

test('it says who acted for whom, in which session, by which decision, and how it ended', async () => {
  const session = await granted(world.open())
  await world.continue(session.token, { resource: 'https://nobody.example/mcp' })
  const [opened, refused] = named(await spans(), 'POST /token').map(({ of }) => of)
  const sid = session.claims.sid
  expect(opened).toMatchObject({
    'enduser.id': 'user:corp:alice',
    'enduser.role': ['analyst'],
    'errand.agent.id': 'orchestrator',
    'errand.by.class': 'agent',
    'errand.event': 'session.open',
    'errand.outcome': 'granted',
    'session.id': sid,
    'http.request.method': 'POST',
    'http.route': '/token',
    'http.response.status_code': '200',
  })
  expect((await world.audit()).map(({ id }) => id)).toContain(opened?.['errand.decision.id'])
  expect(refused).toMatchObject({
    'enduser.id': 'user:corp:alice',
    'errand.outcome': 'refused',
    'errand.reason': 'resource_unknown',
    'session.id': sid,
    'http.response.status_code': '400',
  })
  const [resource] = JSON.parse(collector.all[0]?.body ?? '').resourceSpans
  const about = Object.fromEntries(resource.resource.attributes.map(plainAttribute))
  expect(about).toMatchObject({ 'service.name': 'errand', 'deployment.environment.name': 'development' })
})

test('a stranger’s request says why it was refused, and names nobody', async () => {
  await world.post('/token', { grant_type: 'client_credentials', ...world.authentication('a-stranger-by-this-name') })
  const [of] = named(await spans(), 'POST /token').map((span) => span.of)
  expect(of).toMatchObject({ 'errand.reason': 'client_unknown', 'http.response.status_code': '401' })
  expect(JSON.stringify(of)).not.toContain('a-stranger-by-this-name')
})

describe('W3C trace context', () => {
  test('a request is part of its caller’s trace', async () => {
    await world.open({}, traceparent())
    const all = inTrace(await spans())
    expect(named(all, 'POST /token').map(({ parentSpanId }) => parentSpanId)).toEqual([PARENT.span])
    expect(named(all, 'sessions.commit')).toHaveLength(1)
  })

  test('what a caller does not record is not recorded here', async () => {
    expect((await world.open({}, traceparent('00'))).status).toBe(200)
    expect(named(inTrace(await spans()), 'POST /token')).toEqual([])
  })

  test('a header that is not well-formed, or stands there twice, begins a new trace and refuses nobody', async () => {
    const wrong = [
      `00-${PARENT.trace}-${PARENT.span}-01-more`,
      `00-${'0'.repeat(32)}-${PARENT.span}-01`,
      'ff',
      '\u00e9',
    ]
    wrong.push(
      `${traceparent().traceparent}, ${traceparent().traceparent}`,
      `${traceparent().traceparent}`.toUpperCase(),
    )
    for (const header of wrong) expect((await world.open({}, { traceparent: header })).status).toBe(200)
    const roots = named(await spans(), 'POST /token')
    expect(roots).toHaveLength(wrong.length)
    for (const root of roots) expect([root.parentSpanId, root.traceId === PARENT.trace]).toEqual([undefined, false])
  })

  test('the external policy is asked as part of it', async () => {
    const outside = await startPdp()
    const asking = await traced({}, { externalPdp: outside.pdp })
    try {
      expect((await asking.open({}, traceparent())).status).toBe(200)
      const [span] = named(await spans(asking), 'external_pdp')
      expect(span?.traceId).toBe(PARENT.trace)
      expect(outside.headers[0]?.['traceparent']).toBe(`00-${PARENT.trace}-${span?.spanId}-01`)
    } finally {
      await asking.close()
      await outside.close()
    }
  })
})

test('no token, no credential and no argument of a call is in anything that is exported', async () => {
  const secrets: string[] = []
  const idToken = world.idToken()
  const limited = await openLimited(world, 5)
  const { session, delegation, access } = await world.held()
  const accepted = await granted(world.accept(delegation))
  secrets.push(idToken, limited.token, session, delegation, access, accepted.token)
  const assertion = world.assertion('orchestrator')
  const form = { grant_type: 'client_credentials', client_assertion: assertion, resource: WAREHOUSE }
  await world.post('/token', { ...world.authentication('orchestrator'), ...form })
  await world.open({ subject_token: idToken })
  // What is refused says no more.
  await world.continue(`${access.slice(0, -4)}AAAA`)
  await world.introspect(access)
  await world.bearer('/sessions', await world.apiToken())
  const warehouse = await warehouseAt(world)
  const called = await accessFor(world, limited.token)
  const args = { table: 'argument-of-a-call' }
  const attempt = newAttempt()
  const { context } = await warehouse.attempt(called, { args, attempt })
  await warehouse.report({ attempt, decision_id: context.decision_id, outcome: 'success' })
  await world.revoke(session)
  secrets.push(assertion, called, warehouse.asking, args.table)
  const all = await spans()
  expect(new Set(named(all, 'POST /token').map(({ of }) => of['errand.event'])).size).toBeGreaterThan(4)
  for (const route of ['/introspect', '/revoke', '/access/v1/evaluation', '/access/v1/outcome']) {
    expect(named(all, `POST ${route}`)[0]?.of['errand.decision.id']).toMatch(/^dec_/)
  }
  const exported = collector.all.map(({ body, headers }) => JSON.stringify(headers) + body).join('\n')
  expect(exported.length).toBeGreaterThan(10_000)
  for (const secret of secrets) {
    // Of a token, any of its parts: its header alone is everybody's.
    for (const part of secret.split('.').slice(secret.includes('.') ? 1 : 0)) {
      expect(part.length).toBeGreaterThan(10)
      expect(exported).not.toContain(part)
    }
  }
  expect(exported).not.toMatch(/eyJ[\w-]+\./)
  expect(exported).not.toContain('Q3 revenue')
})

test('several decisions in one request are each told of', async () => {
  const warehouse = await warehouseAt(world)
  const access = await accessFor(world, (await openLimited(world, 5)).token)
  const one = { subject: { type: 'access_token', id: access }, action: { name: 'tools/call' } }
  const evaluations = ['query', 'drop_table'].map((id) => ({ ...one, resource: { type: 'tool', id } }))
  const json = JSON.stringify({ evaluations })
  const headers = { Authorization: `Bearer ${warehouse.asking}`, 'Content-Type': 'application/json' }
  await whenReady(() => world.request('/access/v1/evaluations', { method: 'POST', headers, body: json }))
  const all = await spans()
  const root = named(all, 'POST /access/v1/evaluations').at(-1)
  const told = [root, ...named(all, 'decision')].map((span) => span?.of['errand.decision.id'])
  expect(new Set(told).size).toBe(told.length)
  expect(told[0]).toMatch(/^dec_/)
})

describe('the collector', () => {
  const dropped = async (why: string, of: World = world) =>
    Number(
      new RegExp(`errand_spans_dropped_total\\{why="${why}"\\} (\\d+)`).exec(
        (await of.broker.metrics?.text()) ?? '',
      )?.[1] ?? 0,
    )

  test('gets the headers of its file, read anew each time', async () => {
    const headersFile = join(scratchDirectory('traces'), 'headers')
    writeFileSync(headersFile, '# the tenant\nX-Scope-OrgID: one\nAuthorization: Bearer collector-secret\n', {
      mode: 0o600,
    })
    const keyed = await traced({ headersFile })
    try {
      await keyed.open()
      await keyed.broker.flushTraces()
      writeFileSync(headersFile, 'X-Scope-OrgID: two\n')
      await keyed.open()
      await keyed.broker.flushTraces()
      const sent = collector.all.map(({ path, headers }) => [path, headers['x-scope-orgid'], headers.authorization])
      expect(sent[0]).toEqual(['/v1/traces', 'one', 'Bearer collector-secret'])
      expect(sent.at(-1)).toEqual(['/v1/traces', 'two', undefined])
    } finally {
      await keyed.close()
    }
  })

  test('that hangs holds one connection, and no request; what does not fit is dropped and counted', async () => {
    collector.reply(never)
    const slow = await traced()
    try {
      const before = await dropped('full', slow)
      const session = (await granted(slow.open())).token
      const began = performance.now()
      let slowest = 0
      // A slow machine makes fewer of them while the collector gives up some: it asks on until there is no place left.
      for (let asked = 0; asked < 250 || (asked < 5_000 && (await dropped('full', slow)) <= before); asked += 1) {
        const askedAt = performance.now()
        expect((await whenReady(() => slow.continue(session))).status).toBe(200)
        slowest = Math.max(slowest, performance.now() - askedAt)
      }
      expect(slowest).toBeLessThan(SPAN_EXPORT_TIMEOUT_MS)
      expect(await dropped('full', slow)).toBeGreaterThan(before)
      // One after the other, each given up at its deadline.
      expect(collector.all.length).toBeLessThan(6 + (performance.now() - began) / SPAN_EXPORT_TIMEOUT_MS)
    } finally {
      collector.reply(undefined)
      await slow.close()
    }
  })

  test('that refuses, redirects or is gone costs its spans alone', async () => {
    const away = await traced()
    try {
      for (const reply of [status(503), status(307, { location: `${collector.url}/elsewhere` })]) {
        const before = await dropped('refused', away)
        collector.reply(reply)
        expect((await away.open()).status).toBe(200)
        await away.broker.flushTraces()
        expect(await dropped('refused', away)).toBeGreaterThan(before)
      }
      expect(collector.all.map(({ path }) => path)).not.toContain('/elsewhere')
    } finally {
      await away.close()
    }
  })

  test('is sent nothing where nothing is sampled, and does not exist where none is configured', async () => {
    const none = await traced({ sampleRatio: 0 })
    const off = await startWorld({ issuer: idp })
    try {
      expect((await none.open({}, traceparent())).status).toBe(200)
      expect((await off.open({}, traceparent())).status).toBe(200)
      await none.broker.flushTraces()
      await off.broker.flushTraces()
      expect(named(inTrace(await spans()), 'POST /token')).toEqual([])
    } finally {
      await none.close()
      await off.close()
    }
  })
})

test('an exchange that took its time names its trace to Prometheus, for those who ask for OpenMetrics', async () => {
  await world.open({}, traceparent())
  const open = (await world.broker.metrics?.openMetrics()) ?? ''
  expect(open).toMatch(
    new RegExp(`errand_exchange_seconds_bucket\\{.*\\} \\d+ # \\{trace_id="${PARENT.trace}"\\} [\\d.e-]+ [\\d.]+`),
  )
  expect(open.trimEnd().endsWith('# EOF')).toBe(true)
  expect(open).toContain('# TYPE errand_exchanges counter')
  const classic = (await world.broker.metrics?.text()) ?? ''
  expect(classic).toContain('# TYPE errand_exchanges_total counter')
  expect(classic).not.toMatch(/trace_id|# EOF/)
})

test('each worker of a broker sends its own spans', async () => {
  const cwd = scratchDirectory('traced-workers')
  const port = String(await freePort())
  const server = ['--server', WAREHOUSE, '--tools', 'query:read', '--port', port]
  const made = await errand(['init', '--yes', '--agent', 'analyst', '--owner', 'data', ...server], { cwd })
  expect(made.code, made.err).toBe(0)
  appendFileSync(join(cwd, 'errand.yaml'), `\ntelemetry: { otlp_endpoint: '${collector.url}' }\n`)
  const broker = await serveErrand(['--workers', '2'], cwd)
  try {
    const workers = () => {
      const text = collector.all.map(({ body }) => body).join()
      return new Set(
        [...text.matchAll(/"key":"errand\.worker","value":\{"intValue":"(\d)"/g)].map(([, worker]) => worker),
      )
    }
    await vi.waitFor(
      async () => {
        // Each on a connection of its own: which worker accepts it is the kernel's choice.
        const asked = upTo(40).map(() => fetch(`http://127.0.0.1:${port}/jwks`, { headers: { Connection: 'close' } }))
        for (const answer of await Promise.all(asked)) expect(answer.status).toBe(200)
        expect([...workers()].sort()).toEqual(['1', '2'])
      },
      { timeout: PATIENCE_MS, interval: 500 },
    )
  } finally {
    broker.signal('SIGTERM')
    await broker.ended
    rmSync(cwd, { recursive: true, force: true })
  }
})

test('a line of the log names the trace and the work that it is about (faults, too)', async () => {
  const span = {
    traceId: PARENT.trace,
    spanId: PARENT.span,
    isRecorded: false,
    ...{ set: () => undefined, fail: () => undefined, end: () => undefined, child: () => span },
  } as Span
  const lines: string[] = []
  const log = pino({ base: null, timestamp: false, mixin: traceNames }, { write: (line) => void lines.push(line) })
  const repeats = new Repeats(50)
  withinTrace(span, () => {
    log.warn('before its record')
    span.txn = 'txn_1'
    for (let each = 0; each < 2; each += 1) repeats.say('again', (count) => log.warn({ count }, 'said again'))
  })
  log.warn('about nothing')
  repeats.flush()
  const said = lines.map((line) => JSON.parse(line)).map(({ trace_id, txn, msg }) => [msg, trace_id, txn])
  expect(said).toEqual([
    ['before its record', PARENT.trace, undefined],
    ['said again', PARENT.trace, 'txn_1'],
    ['about nothing', undefined, undefined],
    // By a timer: still about the request that said it last.
    ['said again', PARENT.trace, 'txn_1'],
  ])
})
