/** Reads sessions for an exchange or a person, and performs their commits. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeId, SessionId } from '../kernel/ids.ts'
import { CLOCK_SKEW_S } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { DRIFT_ASKS_KEPT } from '../kernel/store-limits.ts'
import type { Approval } from '../model/approval.ts'
import type { IssuingState, NodeFacts, SessionFacts, SessionState } from '../model/session.ts'
import { isIssuing, parseSessionState } from '../model/session.ts'
import { OutboxFull, type Store, StoreUnavailable } from '../store/ports.ts'
import { approvalField, approvalsIn, decodeApproval } from './approval-record.ts'
import type { CallCounter } from './call-counters.ts'
import { decodeNode, decodeOpened } from './record-text.ts'
import type { SessionChange } from './session-commits.ts'
import { FIELD, type SessionView, viewSession } from './session-record.ts'
import { asFault } from './stored-values.ts'

/** What an exchange knows of the session its subject token belongs to. */
export interface LiveSession {
  readonly facts: SessionFacts
  readonly state: IssuingState
  /** The node the handle stands for; for a delegation, the one it would become. */
  readonly node: NodeFacts
  /** Those that it was passed on from, root first. */
  readonly above: readonly NodeFacts[]
  /** Of an access token that a server goes on with: the hop below the node that it has become already. */
  readonly hop?: NodeFacts
  /** What was asked for outside its intent since a reviewer last looked. */
  readonly drift: number
}

export interface DriftState {
  readonly state: SessionState
  readonly count: number
  /** Decision ids of the last such asks, oldest first. */
  readonly asks: readonly string[]
}

const REPEAT_PAUSE_MS = 60
const HALTED = 'halted for what was asked outside its intent, until a reviewer has looked'

export class SessionRepository {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /**
   * Round trip 1 (DESIGN §5): the session of a handle, live. What is read here gives good errors early; the commit checks
   * all of it again.
   * @throws Rejection `session_absent`, `session_not_issuing`, `session_expired`, `node_revoked`, `delegation_consumed`
   */
  async readForExchange(
    session: SessionId,
    path: readonly NodeId[],
    options: { readonly delegation?: string; readonly access?: string; readonly now: number },
  ): Promise<LiveSession> {
    const own = options.delegation ?? path.at(-1) ?? ''
    const rootId = path[0]
    const nodeField = options.delegation === undefined ? FIELD.node(own) : FIELD.delegation(own)
    const { access } = options
    const guarded = [...path, own, ...(access === undefined ? [] : [access])]
    const above = path.filter((id) => id !== own)
    const fields = await this.#store.sessions.read(session, [
      FIELD.state,
      FIELD.notAfter,
      FIELD.facts,
      FIELD.drift,
      nodeField,
      ...guarded.map(FIELD.revoked),
      ...above.map(FIELD.node),
      ...(options.delegation === undefined ? [] : [FIELD.node(own)]),
      ...(access === undefined ? [] : [FIELD.node(access)]),
    ])
    if (fields === undefined) throw new Rejection('session_absent', 'the session is unknown, or ended long ago')
    const state = parseSessionState(fields.get(FIELD.state))
    const facts = fields.get(FIELD.facts)
    if (facts === undefined || !isIssuing(state)) {
      throw new Rejection(
        'session_not_issuing',
        `the session is ${state === 'halted' ? HALTED : `${state ?? 'in an unknown state'}: open a new one`}`,
      )
    }
    if (!(Number(fields.get(FIELD.notAfter)) > options.now)) {
      throw new Rejection('session_expired', 'the session has ended: open a new one')
    }
    const node = fields.get(nodeField)
    const passedOnBy = above.flatMap((id) => {
      const text = fields.get(FIELD.node(id))
      return text === undefined ? [] : [{ id, text }]
    })
    const rootText = rootId === undefined ? undefined : fields.get(FIELD.node(rootId))
    const isWhole = node !== undefined && rootText !== undefined && passedOnBy.length === above.length
    if (!isWhole || rootId === undefined || guarded.some((id) => fields.has(FIELD.revoked(id)))) {
      throw new Rejection('node_revoked', 'this part of the session was revoked')
    }
    if (options.delegation !== undefined && fields.has(FIELD.node(own))) {
      throw new Rejection('delegation_consumed', 'this delegation has already been accepted')
    }
    const opened = decodeOpened({ session, root: rootId }, { facts, root: rootText })
    const decoded = (id: string, text: string) =>
      id === rootId ? opened.root : decodeNode(text, id as NodeId, opened.facts.intentSalt)
    const hop = access === undefined ? undefined : fields.get(FIELD.node(access))
    return {
      facts: opened.facts,
      state,
      node: decoded(own, node),
      above: passedOnBy.map(({ id, text }) => decoded(id, text)),
      ...(access === undefined || hop === undefined ? {} : { hop: decoded(access, hop) }),
      drift: Number(fields.get(FIELD.drift) ?? '0'),
    }
  }

  /**
   * Whether a token of this session is alive in the session's own slot: issuing state, and nothing above it revoked.
   * `undefined`: it is not; else what blocks of its subject are compared with.
   */
  async readLive(
    session: SessionId,
    ids: readonly string[],
    now: number,
  ): Promise<{ readonly signedInAt: number | undefined } | undefined> {
    const wanted = [FIELD.state, FIELD.notAfter, FIELD.signedInAt, ...ids.map(FIELD.revoked)]
    const fields = await this.#store.sessions.read(session, wanted)
    const state = parseSessionState(fields?.get(FIELD.state))
    if (fields === undefined || !isIssuing(state)) return undefined
    if (!(Number(fields.get(FIELD.notAfter)) > now) || ids.some((id) => fields.has(FIELD.revoked(id)))) return undefined
    const signedInAt = fields.get(FIELD.signedInAt)
    return { signedInAt: signedInAt === undefined ? undefined : Number(signedInAt) }
  }

  /** An issuing session: what was written when it was opened, and of the hops of this path (root first), the last of which holds the token. */
  async holderOf(
    session: SessionId,
    ids: readonly NodeId[],
  ): Promise<
    (Pick<LiveSession, 'facts' | 'node' | 'state' | 'drift'> & { readonly path: readonly NodeFacts[] }) | undefined
  > {
    const [root] = ids
    if (root === undefined) return undefined
    const fields = await this.#store.sessions.read(session, [
      FIELD.state,
      FIELD.facts,
      FIELD.drift,
      ...ids.map(FIELD.node),
    ])
    const [facts, first] = [fields?.get(FIELD.facts), fields?.get(FIELD.node(root))]
    const state = parseSessionState(fields?.get(FIELD.state))
    if (facts === undefined || first === undefined || !isIssuing(state)) return undefined
    const opened = decodeOpened({ session, root }, { facts, root: first })
    const path = ids.flatMap((id) => {
      if (id === root) return [opened.root]
      const text = fields?.get(FIELD.node(id))
      return text === undefined ? [] : [decodeNode(text, id, opened.facts.intentSalt)]
    })
    const node = path.at(-1)
    const drift = Number(fields?.get(FIELD.drift) ?? '0')
    return node === undefined || path.length < ids.length
      ? undefined
      : { facts: opened.facts, state, node, path, drift }
  }

  /** How many of its calls are left: the fewest of these counters. `undefined`: nothing limits them. */
  async callsLeft(session: SessionId, counters: readonly CallCounter[]): Promise<number | undefined> {
    if (counters.length === 0) return undefined
    const fields = await this.#store.sessions.read(
      session,
      counters.map(({ field }) => field),
    )
    const left = counters.map(({ field, max }) => max - Number(fields?.get(field) ?? '0'))
    return Math.max(0, Math.min(...left))
  }

  /** What is known of the approval of a call; `undefined`: nobody has been asked. @throws MalformedSession */
  async readApproval(session: SessionId, key: string): Promise<Approval | undefined> {
    const field = approvalField(key)
    const text = (await this.#store.sessions.read(session, [field]))?.get(field)
    return text === undefined ? undefined : decodeApproval(session, key, text)
  }

  /** @throws MalformedSession */
  async approvalsOf(session: SessionId): Promise<readonly Approval[]> {
    return approvalsIn(session, (await this.#store.sessions.readAll(session)) ?? new Map())
  }

  async driftOf(session: SessionId): Promise<DriftState | undefined> {
    const places = Array.from({ length: DRIFT_ASKS_KEPT }, (_, place) => FIELD.drifted(place))
    const fields = await this.#store.sessions.read(session, [FIELD.state, FIELD.drift, ...places])
    const state = parseSessionState(fields?.get(FIELD.state))
    if (fields === undefined || state === undefined) return undefined
    const count = Number(fields.get(FIELD.drift) ?? '0')
    const oldest = count % DRIFT_ASKS_KEPT
    const inOrder =
      count < DRIFT_ASKS_KEPT ? places.slice(0, count) : [...places.slice(oldest), ...places.slice(0, oldest)]
    return { state, count, asks: inOrder.flatMap((place) => fields.get(place) ?? []) }
  }

  /** @throws MalformedSession */
  async view(session: SessionId, now: number): Promise<SessionView | undefined> {
    const fields = await this.#store.sessions.readAll(session)
    return fields === undefined ? undefined : asFault('record', () => viewSession(session, fields, now))
  }

  /**
   * Round trip 2. Nothing is written unless every check holds.
   * @throws Rejection of the first check that failed; OutboxFull
   */
  async commit(change: SessionChange, id: string, audit: string | undefined): Promise<void> {
    const { session, operations, contents = [], isEnd = false } = change
    const checks = change.checks.map(({ check }) => check)
    const expiresAtMs = (change.notAfter + CLOCK_SKEW_S) * 1000
    const commit = { session, id, checks, operations, expiresAtMs, audit, contents, isEnd }
    const outcome = await this.#store.sessions.commit(commit)
    if (outcome.committed) return
    // Nothing was written, so the id is still free.
    if (outcome.failed === 0 && change.otherwise !== undefined) {
      return this.commit({ ...change.otherwise, contents, isEnd }, id, audit)
    }
    const failed = change.checks[outcome.failed]
    throw failed === undefined ? new Error(`commit failed at unknown check ${outcome.failed}`) : failed.refusal()
  }

  /** Whether there was a commit under this id, for as long as that is remembered: one that can never be made asks. */
  async hasCommitted(session: SessionId, id: string): Promise<boolean> {
    const change = { checks: [{ check: 'oneOf', field: FIELD.state, values: [] }], operations: [] } as const
    return (await this.#store.sessions.commit({ ...change, session, id, expiresAtMs: 1, audit: undefined })).committed
  }

  /**
   * A commit that issues. One whose answer got lost is repeated: under the same id it changes nothing a second time and says
   * how it ended, so that a delegation is not used up by an answer that nobody heard.
   * @param unsure called when the first answer is lost: from then on the request may have succeeded whatever is thrown
   */
  async commitSurely(change: SessionChange, id: string, audit: string, unsure: () => void): Promise<void> {
    try {
      await this.commit(change, id, audit)
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || error instanceof OutboxFull) throw error
      unsure()
      // A lost connection is back by then; one that hangs is not asked again.
      await sleep(REPEAT_PAUSE_MS)
      // A full outbox says nothing of the first, which may come yet.
      const isFull = (again: unknown) => Promise.reject(again instanceof OutboxFull ? error : again)
      await this.commit(change, id, audit).catch(isFull)
    }
  }
}
