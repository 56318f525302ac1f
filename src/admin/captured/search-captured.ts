/**
 * Which captured texts hold a given one: "did the arguments include …" (R171). Only which records they are beside is told; what
 * is in them is read one by one. On record like a reading, with what was looked for named by its digest alone.
 */
import { z } from 'zod'
import { digestOnly } from '../../audit/captured/capture.ts'
import type { TrailFilter, TrailGap } from '../../audit/trail/audit-trail.ts'
import {
  DISCLOSURE_REASON_BYTES_MAX,
  SEARCH_TEXT_CHARS_MAX,
  SEARCHED_PER_REQUEST_MAX,
} from '../../kernel/capture-limits.ts'
import { NAME_CHARS_MAX } from '../../kernel/limits.ts'
import type { AuditEvent, AuditRecord } from '../../model/audit-record.ts'
import { CAPTURED_KINDS, type CapturedKind, DIGEST_ONLY } from '../../model/captured.ts'
import { type ChangeRequest, onRecord } from '../on-record.ts'
import { disclosureReason } from './disclosure-reason.ts'
import { opened } from './opened.ts'
import type { CapturedParts } from './read-captured.ts'

const name = z.string().min(1).max(NAME_CHARS_MAX).optional()

/** `POST /admin/v1/audit/captured/search`. */
export const searchOrder = z.strictObject({
  kind: z.enum(CAPTURED_KINDS),
  contains: z.string().min(1).max(SEARCH_TEXT_CHARS_MAX),
  reason: z.string().max(DISCLOSURE_REASON_BYTES_MAX),
  agent: name,
  user: name,
  session: name,
  server: name,
  tool: name,
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
  after: z.string().min(1).max(NAME_CHARS_MAX).optional(),
})
type SearchOrder = z.output<typeof searchOrder>

export interface Hit {
  readonly record: string
  readonly at: string
  readonly agent?: string
  readonly user?: string
  readonly resource?: string
  readonly detail?: string
}

export interface SearchAnswer {
  readonly found: readonly Hit[]
  /** How many were opened and looked through. */
  readonly searched: number
  /** Of those found, and in all, the end was not kept: what is not found in them may have been there. */
  readonly truncated: number
  /** Named by digest only, erased, gone, or without the key that opens them: nobody can say. */
  readonly unsearched: number
  /** What could have been searched, and cannot be read; absent: there is nothing of the kind. */
  readonly gaps?: readonly TrailGap[]
  /** The search goes on there; absent: that was all. */
  readonly after?: string
}

const EVENTS: Readonly<Record<CapturedKind, readonly AuditEvent[] | undefined>> = {
  prompt: undefined,
  arguments: ['call.attempt'],
  response: ['call.outcome'],
  trace: ['session.trace'],
}

/** @throws RefusedRequest */
export function searchCaptured(
  request: ChangeRequest,
  read: () => Promise<SearchOrder>,
  parts: CapturedParts,
): Promise<SearchAnswer> {
  return onRecord(request, 'captured.search', parts.auditor, async (_caller, draft) => {
    const order = await read()
    const { kind, contains } = order
    draft.add({ disclosure: { kinds: [kind], reason: disclosureReason(order.reason) } })
    const looked = `looked for ${DIGEST_ONLY}${digestOnly(draft.id, kind, contains)}`
    draft.add({ detail: looked })
    const answer = await searched(order, parts)
    draft.add({ detail: `${looked} in ${answer.searched} texts: in ${answer.found.length} of them` })
    return answer
  })
}

async function searched(order: SearchOrder, parts: CapturedParts): Promise<SearchAnswer> {
  const { kind, contains } = order
  const page = await parts.trail.page(filterOf(order), SEARCHED_PER_REQUEST_MAX, order.after)
  const tally = { found: [] as Hit[], searched: 0, truncated: 0, unsearched: 0 }
  const isIn = looksFor(contains)
  for (const { record } of page.entries) {
    if (record.captured?.[kind] === undefined) continue
    const answer = await opened(record, kind, parts)
    if (answer.state !== 'open') {
      tally.unsearched += 1
      continue
    }
    tally.searched += 1
    if (answer.truncated === true) tally.truncated += 1
    if (isIn(answer.text)) tally.found.push(hit(record))
  }
  return {
    ...tally,
    ...(page.gaps.length === 0 ? {} : { gaps: page.gaps }),
    ...(page.after === undefined ? {} : { after: page.after }),
  }
}

/** Whatever its case; in arguments also as JSON writes it. */
function looksFor(contains: string): (text: string) => boolean {
  const wanted = contains.toLowerCase()
  const escaped = JSON.stringify(wanted).slice(1, -1)
  return (text) => {
    const lower = text.toLowerCase()
    return lower.includes(wanted) || lower.includes(escaped)
  }
}

function filterOf({ kind, agent, user, session, server, tool, since, until }: SearchOrder): TrailFilter {
  return {
    agent,
    user,
    session,
    resource: server,
    tool,
    event: EVENTS[kind],
    sinceMs: since === undefined ? undefined : Date.parse(since),
    untilMs: until === undefined ? undefined : Date.parse(until),
  }
}

function hit({ id, at, agent, on_behalf_of: user, resource, detail }: AuditRecord): Hit {
  return {
    record: id,
    at,
    ...(agent && { agent: agent.id }),
    ...(user && { user }),
    ...(resource && { resource }),
    ...(detail && { detail }),
  }
}
