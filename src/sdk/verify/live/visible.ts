/**
 * What may be shown to whom (R064, R087): resources of this server, many at once, by the rights of this moment. Shown is only what
 * was certainly allowed: whatever the broker did not plainly permit, was not asked about, or could not be asked, is hidden.
 */
import { isJsonObject } from '../../../jose/strict-json.ts'
import { EVALUATIONS_MAX } from '../../../kernel/limits.ts'
import type { BrokerApi } from './broker-api.ts'
import { type Inbound, readInbound } from './inbound.ts'

type Json = Readonly<Record<string, unknown>>

/** Who would see it: a user as tokens name them (`user:<issuer>:<sub>`), or whoever an inbound token acts for, and through whom. */
export type Viewer = string | Inbound

/** What showing it is: the resources' registered type, and the tool that would give them. */
export interface Showing {
  /** Type of the containers that the ids are of (`folder`, `channel`), or `tool`. */
  readonly type: string
  /** A tool of this server, or a category: `read`. */
  readonly action: string
  /** Client id of the agent in whose memory or answer it would appear, where the viewer is named. Default: the user's half alone. */
  readonly agent?: string
  /** Of the server that is meant, where this client serves several: its id or URL. */
  readonly server?: string
}

/** Batches on their way at once. */
const BATCHES_AT_ONCE = 4
/** One request each: a channel of more is not asked about. */
export const AUDIENCE_MAX = 1_000
/** Of one question: a page of a search is far below it. */
export const IDS_MAX = 10_000

/** Of `ids`, in their order, those that may be shown. @throws RangeError for more than {@link IDS_MAX} */
export async function visible(
  api: Pick<BrokerApi, 'post'>,
  viewer: Viewer,
  ids: readonly string[],
  showing: Showing,
): Promise<string[]> {
  const asked = [...new Set(ids)]
  if (asked.length > IDS_MAX) throw new RangeError(`at most ${IDS_MAX} ids are asked about at once`)
  const shown = new Set<string>()
  const batches: string[][] = []
  for (let from = 0; from < asked.length; from += EVALUATIONS_MAX)
    batches.push(asked.slice(from, from + EVALUATIONS_MAX))
  const work = async () => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      for (const id of await permitted(api, viewer, batch, showing)) shown.add(id)
    }
  }
  await Promise.all(Array.from({ length: BATCHES_AT_ONCE }, work))
  return ids.filter((id) => shown.has(id))
}

/** Those that everybody of the audience may see: an empty audience sees nothing. @throws RangeError */
export async function visibleTo(
  api: Pick<BrokerApi, 'post'>,
  audience: readonly Viewer[],
  ids: readonly string[],
  showing: Showing,
): Promise<string[]> {
  if (audience.length === 0) return []
  if (audience.length > AUDIENCE_MAX) throw new RangeError(`at most ${AUDIENCE_MAX} viewers are asked about at once`)
  let left = [...ids]
  for (const viewer of audience) {
    if (left.length === 0) break
    left = await visible(api, viewer, left, showing)
  }
  return left
}

/** A fault hides. */
async function permitted(
  api: Pick<BrokerApi, 'post'>,
  viewer: Viewer,
  ids: readonly string[],
  showing: Showing,
): Promise<readonly string[]> {
  try {
    const answer = await api.post('/access/v1/evaluations', question(viewer, ids, showing))
    const { evaluations } = answer
    // Answers are told apart by their places alone.
    if (!Array.isArray(evaluations) || evaluations.length !== ids.length) return []
    return ids.filter((_id, index) => isJsonObject(evaluations[index]) && evaluations[index]['decision'] === true)
  } catch {
    return []
  }
}

function question(viewer: Viewer, ids: readonly string[], { type, action, agent, server }: Showing): Json {
  const isNamed = typeof viewer === 'string'
  return {
    subject: isNamed
      ? { type: 'identity', id: viewer }
      : { type: 'access_token', id: readInbound(viewer).bearer.reveal() },
    action: { name: action },
    context: {
      ...(agent === undefined || !isNamed ? {} : { agent }),
      ...(server === undefined ? {} : { server }),
    },
    evaluations: ids.map((id) => ({ resource: { type, id } })),
    options: { evaluations_semantic: 'execute_all' },
  }
}
