import { describe, expect, test } from 'vitest'
import { AuditDraft } from '../../../src/audit/audit-draft.ts'
import { sha256 } from '../../../src/kernel/digest.ts'
import type { PrincipalId } from '../../../src/kernel/ids.ts'
import { NAME_CHARS_MAX } from '../../../src/kernel/limits.ts'
import { AUDIT_RECORD_BYTES_MAX } from '../../../src/kernel/store-limits.ts'
import type { AuditRecord } from '../../../src/model/audit-record.ts'
import { type Decision, LAYERS } from '../../../src/model/decision.ts'
import { NOW } from '../sessions/fixtures.ts'

const ARRIVED = { source: '192.0.2.7', correlation: undefined }

function begun(by = 'agent:orchestrator'): AuditDraft {
  const draft = new AuditDraft(NOW * 1000 + 7, ARRIVED)
  draft.authenticatedAs(by as PrincipalId)
  return draft
}

const read = (text: string) => JSON.parse(text) as AuditRecord
const names = (count: number, chars: number) => Array.from({ length: count }, (_, at) => `${at}`.padEnd(chars, 'x'))

/** What §8 wants to be known of every request, at ordinary length. */
const ATTRIBUTION = {
  agent: { id: 'orchestrator', version: '3', instance: 'pod-7' },
  on_behalf_of: 'user:corp:alice',
  user: { id: 'user:corp:alice' },
  session: 'ses_AAAAAAAAAAAAAAAAAAAAAA',
  node: 'nod_AAAAAAAAAAAAAAAAAAAAAA',
  intent: sha256('purpose'),
  origin: 'user_request',
  scope: 'mcp:tools:read mcp:tools:write',
  chain: ['agent:researcher', 'agent:orchestrator'],
} as const

const KEPT = { digest: sha256('question'), contents: [{ digest: sha256('question'), text: 'question' }] }
const DECISION = {
  id: 'dec_1',
  outcome: 'deny',
  reason: 'nothing_granted',
  description: 'nothing is left',
  policyVersion: sha256('policy'),
  layers: LAYERS.map((layer) => ({ layer, verdict: 'implicit_deny' })),
  grantsEvaluated: 4,
  grantsMatched: ['finance-works', 'no-drops'],
  missing: ['tool drop_table is not delegable to agents'],
} as unknown as Decision

describe('a record', () => {
  test('has the id of its draft, the time it began, and who asked', () => {
    const draft = begun()
    expect(read(draft.granted('session.read'))).toEqual({
      id: draft.id,
      at: new Date(NOW * 1000 + 7).toISOString(),
      by: 'agent:orchestrator',
      by_class: 'agent',
      event: 'session.read',
      outcome: 'granted',
      ip: '192.0.2.7',
    })
  })

  test('of a refusal has the reason, and the event as far as it was known', () => {
    expect(read(begun().refused('session_absent'))).toMatchObject({
      event: 'request.refused',
      outcome: 'refused',
      reason: 'session_absent',
    })
    const draft = begun()
    draft.add({ event: 'token.revoke' })
    expect(read(draft.refused('server_error'))).toMatchObject({ event: 'token.revoke', reason: 'server_error' })
  })

  test('of a grant is of the event set before, where none is named', () => {
    const draft = begun()
    draft.add({ event: 'admin.read' })
    expect(read(draft.granted())).toMatchObject({ event: 'admin.read', outcome: 'granted' })
  })

  test('of a request whose commit may have happened does not say that it was refused', () => {
    const draft = begun()
    draft.leaveUnfinished()
    expect(read(draft.refused('store_unavailable'))).toMatchObject({
      outcome: 'unfinished',
      reason: 'store_unavailable',
    })
    expect(read(draft.granted('session.read'))).toMatchObject({ outcome: 'granted' })
  })

  test('keeps what was added, the later over the earlier', () => {
    const draft = begun()
    draft.add({ session: 'ses_1', node: 'nod_1' })
    draft.add({ node: 'nod_2' })
    expect(read(draft.granted('session.read'))).toMatchObject({ session: 'ses_1', node: 'nod_2' })
  })

  test.each(['agent', 'service', 'user', 'operator'])('knows the class of an %s by its principal', (name) => {
    expect(read(begun(`${name}:somebody`).granted('admin.read')).by_class).toBe(name)
  })

  test('has every layer’s verdict, the policy version, the grants that matched, and what was missing', () => {
    const draft = begun()
    draft.addDecision(DECISION, KEPT)
    const record = read(draft.refused('nothing_granted'))
    expect(record.layers).toEqual(Object.fromEntries(LAYERS.map((layer) => [layer, 'implicit_deny'])))
    expect(record).toMatchObject({
      policy: sha256('policy'),
      question: KEPT.digest,
      grants_evaluated: DECISION.grantsEvaluated,
      grants: ['finance-works', 'no-drops'],
      missing: ['tool drop_table is not delegable to agents'],
    })
  })

  test('has no empty lists of grants or of what was missing', () => {
    const draft = begun()
    draft.addDecision({ ...DECISION, grantsMatched: [], missing: [] }, KEPT)
    const record = read(draft.granted('session.read'))
    expect(record).not.toHaveProperty('grants')
    expect(record).not.toHaveProperty('missing')
  })

  test('R155 that lacks what its event demands is not written, and whatever it was for does not happen', () => {
    const draft = begun()
    draft.add({ jti: 'jti_1', session: 'ses_1' })
    expect(() => draft.granted('session.open')).toThrow('must say agent, agent.version, on_behalf_of, txn')
    expect(() => draft.intended()).not.toThrow()
    draft.add({ event: 'registry.change' })
    expect(() => draft.intended()).toThrow('must say change')
  })

  test('of an end is written whatever it lacks, and a refusal with what is known', () => {
    expect(read(begun().granted('session.close'))).toMatchObject({ event: 'session.close', outcome: 'granted' })
    expect(read(begun().refused('session_absent'))).toMatchObject({ reason: 'session_absent' })
  })

  test('cannot be written for nobody, nor for a principal of an unknown class', () => {
    expect(() => new AuditDraft(0).granted('session.read')).toThrow('authenticated principal')
    expect(() => new AuditDraft(0).refused('session_absent')).toThrow('authenticated principal')
    for (const odd of ['robot:one', 'agent', 'agents:one']) {
      expect(() => begun(odd).granted('session.read')).toThrow('known class')
    }
  })

  test('is nobody’s again once the client turned out to be a replay', () => {
    const draft = begun()
    expect(draft.authenticated).toBe(true)
    draft.disown()
    expect(draft.authenticated).toBe(false)
    expect(() => draft.refused('client_assertion_replayed')).toThrow('authenticated principal')
  })

  test('two drafts never share an id', () => {
    expect(begun().id).not.toBe(begun().id)
  })
})

describe('the size of a record', () => {
  const bytes = (text: string) => Buffer.byteLength(text)

  function shortened(fields: Parameters<AuditDraft['add']>[0], by?: string): { text: string; record: AuditRecord } {
    const draft = begun(by)
    draft.addDecision(DECISION, KEPT)
    draft.add({ ...ATTRIBUTION, ...fields })
    const text = draft.granted('session.read')
    return { text, record: read(text) }
  }

  test('an ordinary record is left whole', () => {
    const { text, record } = shortened({})
    expect(bytes(text)).toBeLessThanOrEqual(AUDIT_RECORD_BYTES_MAX)
    expect(record).not.toHaveProperty('shortened')
    expect(record).toMatchObject({ ...ATTRIBUTION, grants: ['finance-works', 'no-drops'] })
  })

  test('what is missing goes first, then the grants, then the layers: only as much as has to', () => {
    const withoutMissing = shortened({ missing: names(20, 80) })
    expect(withoutMissing.record).toMatchObject({ shortened: true, grants: ['finance-works', 'no-drops'] })
    expect(withoutMissing.record).not.toHaveProperty('missing')

    const withoutGrants = shortened({ grants: names(20, 80) })
    expect(withoutGrants.record).not.toHaveProperty('missing')
    expect(withoutGrants.record).not.toHaveProperty('grants')
    expect(withoutGrants.record).toHaveProperty('layers')

    const withoutLayers = shortened({ resource: `https://warehouse.example/${'x'.repeat(700)}` })
    expect(withoutLayers.record).not.toHaveProperty('layers')
    expect(withoutLayers.record.scope).toBe(ATTRIBUTION.scope)
  })

  test('a record of exactly the limit is kept as it is, one byte more is shortened', () => {
    const fill = (length: number) => {
      const draft = begun()
      draft.add({ detail: 'x'.repeat(length) })
      return draft.granted('admin.read')
    }
    const room = AUDIT_RECORD_BYTES_MAX - bytes(fill(0))
    expect(bytes(fill(room))).toBe(AUDIT_RECORD_BYTES_MAX)
    expect(read(fill(room))).not.toHaveProperty('shortened')
    expect(read(fill(room + 1))).toMatchObject({ shortened: true })
  })

  test('the limit is of bytes: characters outside ASCII count as what they take', () => {
    const { text, record } = shortened({ missing: names(10, 60).map((line) => line.replaceAll('x', '€')) })
    expect(bytes(text)).toBeLessThanOrEqual(AUDIT_RECORD_BYTES_MAX)
    expect(record.shortened).toBe(true)
  })

  test('attribution is never shed: scope and chain that are too long are named by their digest', () => {
    const scope = names(100, 30).join(' ')
    const chain = names(5, NAME_CHARS_MAX)
    const { text, record } = shortened({ scope, chain })
    expect(bytes(text)).toBeLessThanOrEqual(AUDIT_RECORD_BYTES_MAX)
    expect(record).toMatchObject({
      ...ATTRIBUTION,
      scope: `sha256:${sha256(scope)}`,
      chain: [`sha256:${sha256(chain.join(' '))}`],
      by: 'agent:orchestrator',
      outcome: 'granted',
      shortened: true,
    })
  })

  test('names chosen by a caller, however long, do not make a record longer', () => {
    const text = (() => {
      const draft = begun('user:corp:alice')
      draft.add({ event: 'session.revoke', session: 's'.repeat(60_000), node: 'n'.repeat(60_000) })
      draft.add({ authorization_server: `https://${'a'.repeat(60_000)}` })
      return draft.refused('not_found')
    })()
    expect(bytes(text)).toBeLessThanOrEqual(AUDIT_RECORD_BYTES_MAX)
    expect(read(text)).toMatchObject({ by: 'user:corp:alice', reason: 'not_found', outcome: 'refused' })
    expect(read(text).session).toBe(`sha256:${sha256('s'.repeat(60_000))}`)
  })

  test('with every name at its bound, in characters of three bytes, it still fits and names everyone by digest at least', () => {
    const long = '€'.repeat(NAME_CHARS_MAX)
    const { text, record } = shortened(
      {
        on_behalf_of: `user:corp:${long}`,
        resource: `https://${'r'.repeat(1024)}`,
        correlation: 'c'.repeat(128),
        chain: names(5, NAME_CHARS_MAX),
        scope: names(128, 30).join(' '),
        detail: 'd'.repeat(1000),
        jti: `jti_${'j'.repeat(22)}`,
        expires_at: NOW,
        subject_token: sha256('token'),
        authority: sha256('details'),
        user: {
          id: `user:corp:${long}`,
          email: long,
          groups: names(8, NAME_CHARS_MAX),
          roles: names(8, NAME_CHARS_MAX),
        },
        owner: `team:${long}`,
        server: { id: 's'.repeat(64), name: long },
        service: 's'.repeat(128),
        tool: 't'.repeat(128),
        txn: 't'.repeat(64),
        trace: { trace_id: 'a'.repeat(32), span_id: 'b'.repeat(16) },
        ip: '2001:0db8:aaaa:bbbb:cccc:dddd:eeee:ffff',
        user_agent: 'u'.repeat(96),
      },
      `user:corp:${long}`,
    )
    expect(bytes(text)).toBeLessThanOrEqual(AUDIT_RECORD_BYTES_MAX)
    const named = `sha256:${sha256(`user:corp:${long}`)}`
    expect(record).toMatchObject({ by: named, by_class: 'user', on_behalf_of: named, origin: 'user_request' })
    expect(record.authority).toBe(sha256('details'))
    // Its digest would be longer, and nobody would find it.
    expect(record).toMatchObject({ session: ATTRIBUTION.session, node: ATTRIBUTION.node })
    expect(record.server).toEqual({ id: 's'.repeat(64), name: 's'.repeat(64) })
    expect(record).toMatchObject({ service: `sha256:${sha256('s'.repeat(128))}`, txn: 't'.repeat(64) })
    expect(record.ip).toContain('2001:')
  })

  const D = sha256('x')
  /** Whatever a caller writes, as long as it may be. */
  const CALLERS_WORDS = {
    agent: { ...ATTRIBUTION.agent, instance: 'i'.repeat(NAME_CHARS_MAX) },
    scope: names(128, 30).join(' '),
    resource: `https://${'r'.repeat(1024)}`,
    correlation: 'c'.repeat(128),
    user_agent: '"'.repeat(96),
    trace: { trace_id: 'a'.repeat(32), span_id: 'b'.repeat(16) },
    txn: 'a'.repeat(32),
    call: { attempt: 'a'.repeat(64) },
    missing: names(20, 80),
    detail: '"'.repeat(200),
  }
  /** What cannot be looked up again: kept whatever else there is. */
  const KEPT_ALWAYS = {
    captured: { prompt: `sha256:${D}`, arguments: D, response: D, trace: D },
    authority: D,
    subject_token: D,
    bound_to: `jkt:${D}`,
    jti: `jti_${'A'.repeat(22)}`,
    expires_at: NOW,
  }

  test('however much a caller writes of itself, whose work it is stays in plain words, and what was captured is named', () => {
    const { text, record } = shortened({ ...CALLERS_WORDS, ...KEPT_ALWAYS }, 'agent:orchestrator')
    expect(bytes(text)).toBeLessThanOrEqual(AUDIT_RECORD_BYTES_MAX)
    const { scope: _scope, agent, ...plain } = ATTRIBUTION
    expect(record).toMatchObject({ ...plain, ...KEPT_ALWAYS, by: 'agent:orchestrator', txn: CALLERS_WORDS.txn })
    expect(record.agent).toEqual({ ...agent, instance: `sha256:${sha256('i'.repeat(NAME_CHARS_MAX))}` })
  })

  test('what a caller calls itself goes before what the decision says', () => {
    const { record } = shortened({ user_agent: '"'.repeat(96), detail: 'd'.repeat(410) })
    expect(record).toHaveProperty('shortened')
    expect(record).not.toHaveProperty('user_agent')
    expect(record).toHaveProperty('missing')
  })

  test('R167 why somebody read what was captured is kept as they wrote it', () => {
    const disclosure = {
      of: `dec_${'A'.repeat(60)}`,
      kinds: ['prompt', 'arguments', 'response', 'trace'] as const,
      reason: 'r'.repeat(510),
    }
    const draft = begun(`operator:${'€'.repeat(NAME_CHARS_MAX)}`)
    draft.add({ ...CALLERS_WORDS, disclosure })
    const text = draft.granted('captured.read')
    expect(bytes(text)).toBeLessThanOrEqual(AUDIT_RECORD_BYTES_MAX)
    expect(read(text)).toMatchObject({ disclosure, txn: CALLERS_WORDS.txn })
  })

  const LONG = '€'.repeat(NAME_CHARS_MAX)
  const { jti, expires_at: _end, ...issued } = KEPT_ALWAYS
  const CREDENTIAL = { method: 'spiffe_jwt', credential: 'c'.repeat(256), certificate: D } as const
  test.each([
    ['opens', { ...KEPT_ALWAYS, captured: { prompt: D }, client_auth: { ...CREDENTIAL, reusable_assertion: D } }],
    [
      'works for itself',
      {
        ...issued,
        captured: {},
        owner: LONG,
        client_auth: { method: 'private_key_jwt', credential: 'c'.repeat(256), issuer: 'i'.repeat(32) },
        workload: { issuer: 'i'.repeat(32), sub: '€'.repeat(160) },
      },
    ],
    [
      'calls',
      {
        jti,
        tool: 't'.repeat(128),
        call: { attempt: 'a'.repeat(64), ended: 'success', after: 'unknown' },
        captured: { arguments: `sha256:${D}`, response: D },
        approval: { id: `apr_${'A'.repeat(22)}`, by: `user:corp:${LONG}` },
      },
    ],
  ] as const)('where every name of the registry and of the directory is at its bound, too, and it %s, it is a third longer', (_what, fields) => {
    const { missing, detail, call: _call, ...words } = CALLERS_WORDS
    const { text, record } = shortened(
      {
        ...words,
        missing,
        detail,
        agent: { id: 'a'.repeat(128), version: 'v'.repeat(64), instance: 'i'.repeat(NAME_CHARS_MAX) },
        on_behalf_of: `user:corp:${LONG}`,
        user: { id: `user:corp:${LONG}`, email: LONG },
        server: { id: 's'.repeat(64), name: LONG },
        service: 's'.repeat(128),
        chain: names(8, NAME_CHARS_MAX),
        txn: 't'.repeat(64),
        ...fields,
      },
      `agent:${'a'.repeat(128)}`,
    )
    expect(bytes(text)).toBeGreaterThan(AUDIT_RECORD_BYTES_MAX)
    expect(bytes(text)).toBeLessThanOrEqual((AUDIT_RECORD_BYTES_MAX * 4) / 3)
    expect(record.agent?.id).toBe(`sha256:${sha256('a'.repeat(128))}`)
    expect(record.user).toEqual({ id: `sha256:${sha256(`user:corp:${LONG}`)}` })
    expect(record).toMatchObject({ session: ATTRIBUTION.session, txn: 't'.repeat(64), captured: fields.captured })
  })
})
