/**
 * What every refusal must look like, on the wire and behind it: the OAuth error that the case deserves, a description that
 * repeats nothing secret, no token, nothing written to any session, and one audit record (or one count, for strangers).
 */
import { expect } from 'vitest'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import type { CommitOutcome } from '../../src/model/commit.ts'
import type { OAuthError } from '../../src/protocol/oauth.ts'
import type { Answer, World } from './world.ts'

export interface Refusal {
  readonly status: number
  readonly error: OAuthError
  readonly reason: RejectionReason
  /** Nobody was authenticated: the answer is coarse, and the refusal is counted instead of recorded. */
  readonly stranger?: boolean
  /** Whom a stranger's refusal is counted under; requests in process come from nowhere. */
  readonly source?: string
  /** A HEAD has no body to look at. */
  readonly bodiless?: boolean
}

export interface Refused {
  readonly answer: Answer
  // biome-ignore lint/suspicious/noExplicitAny: records of many shapes
  readonly record: any
}

const MEMBERS = ['error', 'error_description', 'error_reason', 'missing', 'decision_id']
/** RFC 6749 §5.2. */
const DESCRIPTION = /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/
/** The beginning of any JOSE header; in the middle of a digest, which a record holds several of, it stands there by chance. */
const TOKEN_TEXT = /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8}/

/**
 * Performs `request`, which must be one request, and checks its refusal. A function and not its promise: what was there
 * before has to be known before it begins.
 */
export async function expectRefused(world: World, request: () => Promise<Answer>, refusal: Refusal): Promise<Refused> {
  await world.broker.flushAudit()
  const before = new Set(await records(world))
  const seen = observe(world)
  let answer: Answer
  try {
    answer = await request()
  } finally {
    seen.stop()
  }
  await world.broker.flushAudit()
  const added = (await records(world)).filter((record) => !before.has(record)).map((record) => JSON.parse(record))

  expect(seen.sent, 'one request').toHaveLength(1)
  checkWire(answer, refusal)
  checkNoEcho([JSON.stringify(answer.body ?? null), JSON.stringify([...answer.headers])], seen.sent)
  expect(seen.commits, 'nothing is written to any session').toEqual([])
  expect(seen.listed, 'no session appears').toEqual([])
  expect(added, JSON.stringify(added)).toHaveLength(1)
  checkNoEcho([JSON.stringify(added)], seen.sent)
  const [record] = added
  if (refusal.stranger === true) {
    expect(record).toMatchObject({ event: 'strangers.refused', by: 'stranger', outcome: 'refused' })
    expect(record.strangers).toEqual([[refusal.reason, refusal.source ?? 'unknown', 1]])
  } else {
    expect(record).toMatchObject({ outcome: 'refused', reason: refusal.reason })
    expect(record.by_class).not.toBe('stranger')
    expect(record).not.toHaveProperty('jti')
    if (refusal.bodiless !== true) expect(answer.body.decision_id).toBe(record.id)
  }
  return { answer, record }
}

/** As they are written: two never have one text, because each has an id. */
const records = async (world: World) => (await world.broker.store.audit.latest(1_000)).map(({ record }) => record)

function checkWire({ status, headers, body }: Answer, refusal: Refusal): void {
  const stranger = refusal.stranger === true
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('content-type')).toMatch(/^application\/json\b/)
  if (status === 429 || status === 503) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
  if (refusal.bodiless === true) {
    expect({ status, body }).toEqual({ status: refusal.status, body: undefined })
    return
  }
  const got = { status, error: body?.error, reason: body?.error_reason }
  // What a stranger did wrong is not told: which clients exist would be part of it.
  const wanted = { status: refusal.status, error: refusal.error, reason: stranger ? undefined : refusal.reason }
  expect(got, JSON.stringify(body)).toEqual(wanted)
  expect(Object.keys(body).filter((member) => !MEMBERS.includes(member))).toEqual([])
  expect(body.error_description).toMatch(DESCRIPTION)
  for (const line of body.missing ?? []) expect(line).toMatch(DESCRIPTION)
  expect(typeof body.decision_id).toBe(stranger ? 'undefined' : 'string')
  if (stranger) expect(body).not.toHaveProperty('missing')
}

/** No token sent, nor any part of one, comes back: in the body, in a header, or in what is recorded. */
function checkNoEcho(texts: readonly string[], sent: readonly RequestInit[]): void {
  for (const text of texts) {
    expect(text).not.toMatch(TOKEN_TEXT)
    for (const part of sent.flatMap(secretsOf)) expect(text.includes(part), `echoes ${part}`).toBe(false)
  }
}

const SECRET_PARAMETERS = ['subject_token', 'actor_token', 'client_assertion', 'client_secret', 'token', 'assertion']

function secretsOf({ body, headers }: RequestInit): readonly string[] {
  const form = new URLSearchParams(typeof body === 'string' ? body : '')
  const values = SECRET_PARAMETERS.flatMap((name) => form.getAll(name))
  const authorization = new Headers(headers).get('authorization')
  const proof = new Headers(headers).get('dpop')
  if (proof !== null) values.push(proof)
  if (authorization !== null) values.push(authorization.slice(authorization.indexOf(' ') + 1))
  // A signature, a payload: from this length on, no honest text contains one by chance.
  return values.flatMap((value) => value.split('.')).filter((part) => part.length >= 12)
}

/**
 * Looks on while the request runs: what is sent, which commits the store has taken, and which sessions are listed. (Lists
 * themselves are written late: comparing them would show the sessions of requests before this one.)
 */
function observe(world: World) {
  const sent: RequestInit[] = []
  const commits: CommitOutcome[] = []
  const listed: string[] = []
  const { sessions: store, indexes } = world.broker.store
  const request = world.request
  const commit = store.commit
  const add = indexes.add
  world.request = (path, init = {}) => {
    sent.push(init)
    return request.call(world, path, init)
  }
  store.commit = async (wanted) => {
    const outcome = await commit.call(store, wanted)
    if (outcome.committed) commits.push(outcome)
    return outcome
  }
  indexes.add = (index, member, expiresAtMs) => {
    listed.push(`${index} ${member}`)
    return add.call(indexes, index, member, expiresAtMs)
  }
  const stop = () => {
    world.request = request
    store.commit = commit
    indexes.add = add
  }
  return { sent, commits, listed, stop }
}

export const invalidRequest = (reason: RejectionReason): Refusal => ({ status: 400, error: 'invalid_request', reason })
export const invalidScope = (reason: RejectionReason): Refusal => ({ status: 400, error: 'invalid_scope', reason })
export const invalidTarget = (reason: RejectionReason): Refusal => ({ status: 400, error: 'invalid_target', reason })
export const invalidDetails = (reason: RejectionReason): Refusal => ({
  status: 400,
  error: 'invalid_authorization_details',
  reason,
})
/** RFC 6749 §5.2: the one answer to whoever could not be authenticated. */
export const invalidClient = (reason: RejectionReason): Refusal => ({
  status: 401,
  error: 'invalid_client',
  reason,
  stranger: true,
})
/** The same, of a request that was refused before anybody was authenticated. */
export const toStranger = (refusal: Refusal): Refusal => ({ ...refusal, stranger: true })
