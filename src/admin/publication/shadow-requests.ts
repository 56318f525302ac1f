/**
 * A draft in shadow, over the admin API: begun, looked at and ended under whoever asked. That it is to begin or end is on record
 * before it does. It has an end from the beginning, and ending it early needs the same permission.
 */
import { z } from 'zod'
import type { AuditDraft } from '../../audit/audit-draft.ts'
import { changeRecord } from '../../audit/change-record.ts'
import { newDecisionId } from '../../kernel/ids.ts'
import { SHADOW_DAYS_MAX } from '../../kernel/policy-limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { type ReadRequest, readAs } from '../session-listing.ts'
import { type PolicyRequestParts, policyFiles, toFiles } from './policy-requests.ts'
import type { ShadowPolicy } from './shadow-policy.ts'
import { readCounts, readRun, replaceRun, type ShadowCounts, type ShadowRun, type StoredRun } from './shadow-record.ts'

/** `POST /admin/v1/policy/shadow`. */
export const shadowOrder = z.strictObject({ files: policyFiles, until: z.iso.datetime({ offset: true }) })
export type ShadowOrder = z.output<typeof shadowOrder>

export interface ShadowRequestParts extends PolicyRequestParts {
  readonly shadow: Pick<ShadowPolicy, 'look'>
}

export interface ShadowView extends ShadowRun, ShadowCounts {
  /** `false`: its time is over. */
  readonly active: boolean
}

const DAY_MS = 24 * 3600 * 1000

/** The last that was begun and not ended. @throws RefusedRequest */
export function showShadow(
  request: ReadRequest,
  parts: ShadowRequestParts,
): Promise<{ readonly shadow: ShadowView | null }> {
  return readAs(request, parts, 'admin.read', async () => {
    await parts.shadow.look()
    const { run } = await readRun(parts.store.documents)
    return { shadow: run === undefined ? null : await view(run, parts) }
  })
}

/** In place of whatever runs. @throws RefusedRequest, of a Rejection `body_malformed`, `policy_invalid` too */
export function beginShadow(
  request: ReadRequest,
  read: () => Promise<ShadowOrder>,
  parts: ShadowRequestParts,
): Promise<{ readonly shadow: ShadowView }> {
  return changeShadow(request, parts, async (by) => {
    const { files, until } = await read()
    const nowMs = parts.clock.nowMs()
    const untilMs = Date.parse(until)
    // Written so that a time that is not a number is refused.
    if (!(untilMs > nowMs && untilMs <= nowMs + SHADOW_DAYS_MAX * DAY_MS)) {
      throw new Rejection('body_malformed', `until: within the next ${SHADOW_DAYS_MAX} days`)
    }
    const policy = await parts.publisher.draft(toFiles(files))
    const { version } = policy.registry
    if (version === parts.registries.current.version) {
      throw new Rejection('body_malformed', 'files: they are the policy that decides already')
    }
    const times = { begun_at: new Date(nowMs).toISOString(), until: new Date(untilMs).toISOString() }
    const next: ShadowRun = { id: newDecisionId(), version, by, ...times }
    return {
      next,
      keep: () => parts.publisher.keepDraft(policy, by),
      answer: async () => ({ shadow: await view(next, parts) }),
    }
  })
}

/** @throws RefusedRequest, of a Rejection `not_found` too */
export function endShadow(request: ReadRequest, parts: ShadowRequestParts): Promise<{ readonly shadow: ShadowView }> {
  return changeShadow(request, parts, async (_by, { run }) => {
    if (run === undefined) throw new Rejection('not_found', 'no draft is in shadow')
    const answer = async () => ({ shadow: { ...(await view(run, parts)), active: false } })
    return { next: undefined, keep: async () => undefined, answer }
  })
}

interface Plan<T> {
  readonly next: ShadowRun | undefined
  /** What has to be in the store before it begins. */
  readonly keep: () => Promise<void>
  readonly answer: () => Promise<T>
}

async function changeShadow<T>(
  request: ReadRequest,
  parts: ShadowRequestParts,
  plan: (by: string, stored: StoredRun) => Promise<Plan<T>>,
): Promise<T> {
  const { auditor, store } = parts
  const draft = auditor.begin(request.facts)
  try {
    const { principal } = await request.caller()
    draft.authenticatedAs(principal)
    draft.add({ event: 'policy.shadow' })
    const stored = await readRun(store.documents)
    const { next, keep, answer } = await plan(principal, stored)
    const after = next === undefined ? undefined : JSON.stringify(next)
    draft.addChange(changeRecord('policy/shadow', stored.text || undefined, after))
    draft.add({ detail: JSON.stringify({ version: next?.version ?? null, until: next?.until ?? null }) })
    await auditor.log.intend(draft.id, draft.intended(), draft.contents)
    await changed(draft, async () => {
      await keep()
      return replaceRun(store.documents, stored, next)
    })
    await parts.shadow.look()
    await auditor.log.append(draft.id, draft.granted(), draft.contents)
    return await answer()
  } catch (error) {
    throw await auditor.refuse(draft, error, request.facts.source)
  }
}

async function changed(draft: AuditDraft, work: () => Promise<boolean>): Promise<void> {
  const isMine = await work().catch((fault: unknown) => {
    // Whether it was written, nobody knows: the record must not say that it was not.
    draft.leaveUnfinished()
    throw fault
  })
  // It is done: only a record that says so may end otherwise.
  if (isMine) draft.leaveUnfinished()
  else throw new Rejection('policy_contended', 'another was faster: look again', { retryAfterSeconds: 1 })
}

async function view(run: ShadowRun, { store, clock }: ShadowRequestParts): Promise<ShadowView> {
  return { ...run, active: clock.nowMs() < Date.parse(run.until), ...(await readCounts(store.documents, run)) }
}
