/**
 * Prompts, arguments, responses and reasoning traces, sealed beside their records (R160, R167, R168, R204): captured as far as
 * somebody has decided that they are, read with a reason that is on record, and by nobody who has the store alone.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { digestOnly } from '../../src/audit/captured/capture.ts'
import { TRACES_PER_MINUTE_MAX } from '../../src/kernel/capture-limits.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { createKeyEncryptionKey } from '../../src/keys/key-encryption-keys.ts'
import { StoreUnavailable } from '../../src/store/ports.ts'
import { callOf, newAttempt, recordsOf } from '../support/calls.ts'
import { admin, inLogAlone, type Place, placeWith, read, SECRET, tokenOf, wholeCall } from '../support/captured.ts'
import type { Claims } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { expectRefused } from '../support/refusal.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { startWorld } from '../support/world.ts'

let idp: TestIssuer
let place: Place
let redis: RunningRedis
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  redis = await startRedis({ args: ['--rdbcompression', 'no'] })
  place = await placeWith(idp)
})
afterAll(async () => {
  await place.close()
  await idp.close()
  await redis.stop()
})

describe('what is sealed', () => {
  test.each(['prompt', 'arguments', 'response'] as const)('of a call, the %s is read with a reason', async (kind) => {
    const { world } = place
    const { decision } = await wholeCall(place)
    const answer = await read(world, decision, kind)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(answer.body).toMatchObject({ state: 'open', record: decision, kind, text: expect.stringContaining(SECRET) })
  })

  test('arguments are kept as they were, a trace with its session, a prompt with the opening', async () => {
    const { world, session } = place
    const { decision, trace } = await wholeCall(place)
    const args = await read(world, decision, 'arguments')
    expect(JSON.parse(args.body.text)).toEqual({ table: 'revenue', note: SECRET })
    expect((await read(world, trace, 'trace')).body.text).toBe(`${SECRET}, I think`)
    expect(await recordsOf(world, trace)).toMatchObject([
      {
        event: 'session.trace',
        session: session.claims.sid,
        txn: expect.any(String),
        agent: { id: 'orchestrator', version: expect.any(String) },
        on_behalf_of: 'user:corp:alice',
      },
    ])
    const opened = await world.open({ user_prompt: `please: ${SECRET}` })
    expect((await read(world, opened.body.decision_id, 'prompt')).body.text).toBe(`please: ${SECRET}`)
  })

  test('the record names what is kept by the digest of it, as it is kept; nothing else of it is in any record', async () => {
    const { world } = place
    const { decision } = await wholeCall(place)
    const records = await recordsOf(world, decision)
    expect(records.map(({ event, captured }) => [event, Object.keys(captured)])).toEqual([
      ['call.attempt', ['prompt', 'arguments']],
      ['call.outcome', ['response']],
    ])
    const { session, captured } = records[0] as Claims
    const text = await world.broker.store.audit.content(captured.arguments, session)
    expect(JSON.parse(text ?? '')[0]).toBe('captured-v1')
    const all = (await world.broker.store.audit.latest(500)).map(({ record }) => record).join()
    expect(all).not.toContain(SECRET)
  })

  test('nobody who has the files of the embedded store has read it', async () => {
    await wholeCall(place)
    const { store } = place.world.config
    if (store.kind !== 'embedded') throw new Error('this world has an embedded store')
    const files = readdirSync(store.directory).map((name) => readFileSync(join(store.directory, name), 'latin1'))
    // What is not sealed is found this way.
    expect(files.join('')).toContain('captured-v1')
    expect(files.join('')).toContain('user:corp:alice')
    for (const part of ['Zebra', '4711', 'crossing']) expect(files.join('')).not.toContain(part)
  })

  test('nor who has a dump of Redis', async () => {
    const other = await placeWith(idp, { store: { kind: 'redis', url: new Secret(redis.url) }, realClock: true })
    try {
      const { decision } = await wholeCall(other)
      for (const kind of ['prompt', 'arguments', 'response']) {
        expect((await read(other.world, decision, kind)).body.text).toContain(SECRET)
      }
      const connection = new Redis(redis.url)
      await connection.save()
      connection.disconnect()
      const dump = readFileSync(join(redis.dir, 'dump.rdb'), 'latin1')
      expect(dump).toContain('captured-v1')
      expect(dump).toContain('user:corp:alice')
      for (const part of ['Zebra', '4711', 'crossing']) expect(dump).not.toContain(part)
    } finally {
      await other.close()
    }
  })
})

const gone = new StoreUnavailable('gone')

describe('reading', () => {
  test('is on record, with who, which and why, before the text leaves', async () => {
    const { world } = place
    const { decision } = await wholeCall(place)
    await read(world, decision, 'arguments', 'INC-7: PII?')
    const [{ record = '' } = {}] = await world.broker.store.audit.latest(1)
    expect(JSON.parse(record)).toMatchObject({
      event: 'captured.read',
      outcome: 'granted',
      by: 'operator:ops',
      disclosure: { of: decision, kinds: ['arguments'], reason: 'INC-7: PII?' },
    })
    expect(record).not.toContain(SECRET)
  })

  test('that cannot be put on record is not answered', async () => {
    const { world } = place
    const { decision } = await wholeCall(place)
    const append = vi.spyOn(world.broker.store.audit, 'append').mockRejectedValue(gone)
    const answer = await read(world, decision, 'arguments')
    append.mockRestore()
    expect([answer.status, answer.body.error_reason]).toEqual([503, 'audit_unavailable'])
    expect(JSON.stringify(answer.body)).not.toContain(SECRET)
  })

  test.each([
    ['no reason', '', 'parameter_missing'],
    ['an empty one', '?reason=', 'parameter_missing'],
    ['blanks', '?reason=%20%20', 'parameter_missing'],
    ['one that would fill a record', `?reason=${'é'.repeat(400)}`, 'parameter_malformed'],
  ] as const)('with %s is refused', async (_what, query, reason) => {
    const { world } = place
    const { decision } = await wholeCall(place)
    const error = { status: 400, error: 'invalid_request', reason } as const
    await expectRefused(world, () => admin(world, `/${decision}/captured/arguments${query}`), error)
  })

  test('a long reason stays on record whatever else that holds', async () => {
    const { world } = place
    const { decision } = await wholeCall(place)
    const long = 'x'.repeat(500)
    expect((await read(world, decision, 'prompt', long)).status).toBe(200)
    const [{ record = '' } = {}] = await world.broker.store.audit.latest(1)
    expect(JSON.parse(record).disclosure.reason).toBe(long)
  })

  test('what was not captured, of a record that there is or not, is not found', async () => {
    const { world } = place
    const { trace } = await wholeCall(place)
    const missing = { status: 404, error: 'not_found', reason: 'not_found' } as const
    await expectRefused(world, () => read(world, trace, 'arguments'), missing)
    await expectRefused(world, () => read(world, 'dec_nothing', 'arguments'), missing)
    const malformed = { status: 400, error: 'invalid_request', reason: 'parameter_malformed' } as const
    await expectRefused(world, () => read(world, trace, 'everything'), malformed)
  })

  test('every other role together reads nothing', async () => {
    const { world } = place
    const { decision } = await wholeCall(place)
    const token = await tokenOf(world, 'viewer', 'approver', 'policy_admin', 'security')
    const path = `/admin/v1/audit/${decision}/captured/arguments?reason=x`
    const forbidden = { status: 403, error: 'insufficient_scope', reason: 'admin_forbidden' } as const
    await expectRefused(world, () => world.bearer(path, token, 'GET', undefined), forbidden)
  })
})

describe.each(['embedded', 'redis'] as const)('once it is in the log alone, with the %s store,', (kind) => {
  test('it is read, and erased, as before', async () => {
    const store = kind === 'redis' ? { store: { kind, url: new Secret(redis.url) } } : {}
    const other = await placeWith(idp, { ...store, config: { org: 'log' }, realClock: true })
    try {
      const { decision, trace } = await wholeCall(other)
      await inLogAlone(other)
      const { world } = other
      expect(await recordsOf(world, decision)).toEqual([])
      for (const one of ['prompt', 'arguments', 'response']) {
        expect((await read(world, decision, one)).body.text, one).toContain(SECRET)
      }
      expect((await read(world, trace, 'trace')).body.text).toContain(SECRET)
      const order = { kind: 'response', contains: SECRET, reason: 'INC-9' }
      const { body } = await admin(world, '/captured/search', 'POST', order)
      expect(body.found.map((hit: Claims) => hit.record)).toEqual([decision])
      await admin(world, `/${decision}/captured?reason=x`, 'DELETE')
      expect((await read(world, decision, 'response')).body.state).toBe('erased')
    } finally {
      await other.close()
    }
  })
})

describe('texts exchanged', () => {
  test('between two records: neither is shown', async () => {
    const { world } = place
    const [one, other] = [await wholeCall(place), await wholeCall(place)]
    const records = [await recordsOf(world, one.decision), await recordsOf(world, other.decision)]
    const [mine, theirs] = records.map(([attempt]) => attempt?.captured.arguments as string)
    const { audit } = world.broker.store
    const real = audit.content.bind(audit)
    const swapped = (digest: string) => (digest === mine ? theirs : digest === theirs ? mine : digest) ?? digest
    const content = vi.spyOn(audit, 'content').mockImplementation((digest, key) => real(swapped(digest), key))
    for (const { decision } of [one, other]) {
      const { body } = await read(world, decision, 'arguments')
      expect([body.state, body.text]).toEqual(['unreadable', undefined])
    }
    content.mockRestore()
    expect((await read(world, one.decision, 'arguments')).body.state).toBe('open')
  })
})

describe('what has to be captured and cannot be', () => {
  test('refuses: no token, no session, no permission of a call; and the same attempt passes when it can be again', async () => {
    const other = await placeWith(idp)
    const { world, warehouse, token } = other
    try {
      const replace = vi.spyOn(world.broker.store.documents, 'replace').mockRejectedValue(gone)
      const later = { status: 503, error: 'temporarily_unavailable', reason: 'capture_unavailable' } as const
      await expectRefused(world, () => world.open({ user_prompt: 'hello' }), later)
      const call = callOf(token, { attempt: newAttempt(), args: { table: 'revenue' } })
      const { answer } = await expectRefused(world, () => warehouse.ask(call), later)
      expect(answer.body.decision).toBeUndefined()
      replace.mockRestore()
      expect((await warehouse.decide(call)).decision).toBe(true)
    } finally {
      await other.close()
    }
  })

  test('an outcome whose response cannot be sealed is not told yet: it is told again', async () => {
    const other = await placeWith(idp, {
      settings: { capture: { prompt: 'off', arguments: 'off', response: 'sealed', trace: 'off' } },
    })
    const { world, warehouse, token } = other
    try {
      const attempt = newAttempt()
      const { context } = await warehouse.attempt(token, { attempt })
      const replace = vi.spyOn(world.broker.store.documents, 'replace').mockRejectedValue(gone)
      const told = { attempt, decision_id: context.decision_id, outcome: 'success', response: 'done' }
      expect((await warehouse.report(told)).body.error_reason).toBe('capture_unavailable')
      replace.mockRestore()
      expect((await warehouse.report(told)).status).toBe(200)
      expect((await read(world, context.decision_id, 'response')).body.text).toBe('done')
    } finally {
      await other.close()
    }
  })

  test('a broker that shall seal and has no key does not start, and says what to do', async () => {
    const keysDirectory = scratchDirectory('errand-no-kek-')
    const capture = { prompt: 'off', arguments: 'sealed', response: 'off', trace: 'off' } as const
    await expect(startWorld({ issuer: idp, keysDirectory, settings: { capture } })).rejects.toThrow(
      /audit\.capture seals, and .* has no key-encryption key: make one with errand keys rotate-content/,
    )
  })
})

describe('as the configuration and the tool’s entry say', () => {
  const capture = { prompt: 'digest', arguments: 'off', response: 'digest', trace: 'off' } as const
  const change = (warehouse: Claims) => {
    warehouse.tools.query = {
      ...warehouse.tools.query,
      capture: { arguments: 'sealed', responses: 'off' },
      redact: ['/pin', '/cards/*/cvc'],
    }
  }

  test('a tool says otherwise for itself; what it names as secret, and credentials, are in nothing', async () => {
    const other = await placeWith(idp, { settings: { capture } }, change)
    const { world, warehouse, token } = other
    try {
      const attempt = newAttempt()
      const args = { pin: 'topsecret', cards: [{ cvc: 'topsecret', n: 1 }], use: `Bearer ${'topsecret1'.repeat(3)}` }
      const asked = callOf(token, { attempt, args })
      const { context } = await warehouse.decide({ ...asked, context: { ...asked.context, prompt: 'yes' } })
      await warehouse.report({ attempt, decision_id: context.decision_id, outcome: 'success', response: 'topsecret' })
      const [first, second] = await recordsOf(world, context.decision_id)
      expect(first?.captured.prompt).toBe(`sha256:${digestOnly(context.decision_id, 'prompt', 'yes')}`)
      expect(second?.captured).toBeUndefined()
      const { text } = (await read(world, context.decision_id, 'arguments')).body
      expect(JSON.parse(text)).toEqual({
        pin: '[redacted]',
        cards: [{ cvc: '[redacted]', n: 1 }],
        use: '[redacted: authorization]',
      })
      expect((await read(world, context.decision_id, 'prompt')).body).toMatchObject({ state: 'digest' })
      const off = await warehouse.attempt(token, { tool: 'list_tables', args: { a: 1 } })
      expect((await recordsOf(world, off.context.decision_id))[0]?.captured).toBeUndefined()
    } finally {
      await other.close()
    }
  })

  test('a question that is no attempt is captured nothing of', async () => {
    const { world, warehouse, token } = place
    const { context } = await warehouse.decide(callOf(token, { args: { note: SECRET } }))
    expect((await recordsOf(world, context.decision_id))[0]?.captured).toBeUndefined()
  })
})

describe('a trace', () => {
  const send = (at: Place, sid: string, token: string, body: unknown = { text: 'hm' }) =>
    at.world.bearer(`/sessions/${sid}/traces`, token, 'POST', body)

  test('is taken from who holds a part of the session, and from nobody else', async () => {
    const { world, session } = place
    const missing = { status: 404, error: 'not_found', reason: 'not_found' } as const
    const scribe = await world.apiToken('scribe')
    await expectRefused(world, () => send(place, session.claims.sid, scribe), missing)
    await expectRefused(world, () => send(place, session.claims.sid, world.userToken()), missing)
    const malformed = { status: 400, error: 'invalid_request', reason: 'body_malformed' } as const
    const own = await world.apiToken()
    await expectRefused(world, () => send(place, session.claims.sid, own, { text: '' }), malformed)
  })

  test('beyond so many a minute none is taken', async () => {
    const other = await placeWith(idp, {
      settings: { capture: { prompt: 'off', arguments: 'off', response: 'off', trace: 'off' } },
    })
    try {
      const api = await other.world.apiToken()
      for (let sent = 0; sent < TRACES_PER_MINUTE_MAX; sent += 1) {
        expect((await send(other, other.session.claims.sid, api)).body.captured).toBe('off')
      }
      const answer = await send(other, other.session.claims.sid, api)
      expect([answer.status, answer.body.error_reason]).toEqual([429, 'client_limited'])
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    } finally {
      await other.close()
    }
  })
})

describe('searching', () => {
  const search = (at: Place, order: object) =>
    admin(at.world, '/captured/search', 'POST', { kind: 'arguments', reason: 'INC-9', ...order })

  test('finds beside which records a text is, whatever its case and however JSON writes it, and shows none', async () => {
    const { world, warehouse, token } = place
    const args = { note: 'he said "Ünique 99"\n' }
    const { context } = await warehouse.attempt(token, { args })
    for (const contains of ['ünique 99', 'said "Ünique', 'e 99"\n']) {
      const { body } = await search(place, { contains })
      expect(body.found.map((hit: Claims) => hit.record)).toEqual([context.decision_id])
      expect(body.searched).toBeGreaterThan(1)
      expect(JSON.stringify(body)).not.toMatch(/nique/i)
    }
    expect((await search(place, { contains: 'nowhere at all' })).body.found).toEqual([])
    expect((await search(place, { contains: 'ünique 99', agent: 'researcher' })).body.found).toEqual([])
    expect((await search(place, { contains: 'ünique 99', tool: 'list_tables' })).body.found).toEqual([])
    expect((await search(place, { contains: 'ünique 99', tool: 'query' })).body.found).toHaveLength(1)
    expect((await search(place, { contains: 'ünique 99', until: '2020-01-01T00:00:00Z' })).body.found).toEqual([])
    const [{ record = '' } = {}] = await world.broker.store.audit.latest(1)
    expect(JSON.parse(record)).toMatchObject({
      event: 'captured.search',
      disclosure: { kinds: ['arguments'], reason: 'INC-9' },
    })
    expect(record).not.toMatch(/nique/i)
  })

  test('goes on where it ended, until all was looked through', async () => {
    const found: string[] = []
    let after: string | undefined
    let pages = 0
    do {
      const { body } = await search(place, { contains: 'zebra', ...(after && { after }) })
      found.push(...body.found.map((hit: Claims) => hit.record))
      after = body.after
      pages += 1
    } while (after !== undefined && pages < 50)
    expect(new Set(found).size).toBe(found.length)
    expect(found.length).toBeGreaterThan(3)
  })

  test('without a reason is refused', async () => {
    const { world } = place
    const missing = { status: 400, error: 'invalid_request', reason: 'parameter_missing' } as const
    await expectRefused(world, () => search(place, { contains: 'x', reason: ' ' }), missing)
  })
})

describe('erasing and rekeying', () => {
  test('what was erased opens for nobody and says by which record; every digest and every neighbour stays', async () => {
    const { world } = place
    const [one, other] = [await wholeCall(place), await wholeCall(place)]
    const before = await recordsOf(world, one.decision)
    const { body } = await admin(world, `/${one.decision}/captured?reason=request%2017`, 'DELETE')
    expect(body).toMatchObject({ erased: ['prompt', 'arguments', 'response'], not_kept: [] })
    for (const kind of ['prompt', 'arguments', 'response']) {
      expect((await read(world, one.decision, kind)).body).toMatchObject({ state: 'erased', by: body.by })
      expect((await read(world, other.decision, kind)).body.state).toBe('open')
    }
    expect(await recordsOf(world, one.decision)).toEqual(before)
    const again = await admin(world, `/${one.decision}/captured?reason=request%2018`, 'DELETE')
    expect(again.body).toMatchObject({ erased: [], erased_before: ['prompt', 'arguments', 'response'], not_kept: [] })
    expect((await read(world, one.decision, 'prompt')).body.by).toBe(body.by)
    const erasure = await recordsOf(world, body.by)
    expect(erasure.map(({ event, outcome }) => [event, outcome])).toEqual([
      ['captured.erase', 'unfinished'],
      ['captured.erase', 'granted'],
    ])
    expect(erasure[1]).toMatchObject({ disclosure: { of: one.decision, reason: 'request 17' } })
  })

  test('an erasure that cannot be put on record does not happen', async () => {
    const { world } = place
    const { decision } = await wholeCall(place)
    const append = vi.spyOn(world.broker.store.audit, 'append').mockRejectedValue(gone)
    const answer = await admin(world, `/${decision}/captured?reason=x`, 'DELETE')
    append.mockRestore()
    expect(answer.status).toBe(503)
    expect((await read(world, decision, 'prompt')).body.state).toBe('open')
  })

  test('under a new key everything opens, no text and no record has changed, and the old key is needed no more', async () => {
    const other = await placeWith(idp)
    const { world, keys } = other
    try {
      const { decision } = await wholeCall(other)
      const [attempt] = await recordsOf(world, decision)
      const sealed = () => world.broker.store.audit.content(attempt?.captured.arguments, attempt?.session)
      const before = await sealed()
      const [old = ''] = readdirSync(keys).filter((name) => name.endsWith('.kek.json'))
      const { id } = await createKeyEncryptionKey(keys, Date.now())
      const rekey = () => admin(world, '/captured/rekey', 'POST', {})
      expect((await rekey()).body).toEqual({ active: id, pages: 1, rewrapped: 1, unreadable: 0 })
      expect((await rekey()).body).toMatchObject({ rewrapped: 0 })
      rmSync(join(keys, old))
      expect((await rekey()).body).toMatchObject({ active: id, unreadable: 0 })
      expect((await read(world, decision, 'arguments')).body.text).toContain(SECRET)
      expect(await sealed()).toBe(before)
      expect((await recordsOf(world, decision))[0]).toEqual(attempt)
      expect((await read(world, (await wholeCall(other)).decision, 'prompt')).body.state).toBe('open')
    } finally {
      await other.close()
    }
  })

  test('a broker without the newest key’s file moves nothing back under an older one: it says which file it lacks', async () => {
    const other = await placeWith(idp)
    const { world, keys } = other
    try {
      await wholeCall(other)
      const { id } = await createKeyEncryptionKey(keys, Date.now())
      const rekey = (order: object = {}) => admin(world, '/captured/rekey', 'POST', order)
      expect((await rekey()).body).toMatchObject({ active: id, rewrapped: 1 })
      const file = join(keys, `content-${id}.kek.json`)
      const text = readFileSync(file)
      rmSync(file)
      const { status, body } = await rekey()
      expect([status, body.error_reason]).toEqual([404, 'not_found'])
      expect(body.error_description).toContain(`content-${id}.kek.json`)
      expect((await rekey({ lost: 'another' })).status).toBe(404)
      writeFileSync(file, text, { mode: 0o600 })
      expect((await rekey()).body).toMatchObject({ active: id, rewrapped: 0, unreadable: 0 })
      // Lost for good, somebody has to say so: what it wraps is read by nobody.
      rmSync(file)
      expect((await rekey({ lost: id })).body).toMatchObject({ rewrapped: 0, unreadable: 1 })
    } finally {
      await other.close()
    }
  })

  test('without the file of the key nothing opens, and it is said which is missing', async () => {
    const other = await placeWith(idp)
    const { world, keys } = other
    try {
      const { decision } = await wholeCall(other)
      const [old = ''] = readdirSync(keys).filter((name) => name.endsWith('.kek.json'))
      await createKeyEncryptionKey(keys, Date.now())
      rmSync(join(keys, old))
      expect((await admin(world, '/captured/rekey', 'POST', {})).body).toMatchObject({ rewrapped: 0, unreadable: 1 })
      expect((await read(world, decision, 'prompt')).body).toMatchObject({
        state: 'key_missing',
        kek: old.slice('content-'.length, -'.kek.json'.length),
      })
    } finally {
      await other.close()
    }
  })
})
