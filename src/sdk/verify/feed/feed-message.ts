/** What the feed of revocations says, decoded strictly: a message that is not understood to the letter is refused as a whole. */

import { DIMENSIONS, type Dimension } from '../../../authority/dimensions.ts'
import { isJsonObject, parseStrictJson } from '../../../jose/strict-json.ts'
import { FEED_EVENT } from '../../../protocol/revocation-feed.ts'

export interface HashedCutoff {
  readonly dimension: Dimension
  readonly id: string
  readonly seq: number
  readonly expiresAtMs: number
}

export type FeedMessage =
  | {
      readonly kind: 'snapshot'
      readonly epoch: string
      readonly seq: number
      readonly salt: string
      readonly cutoffs: readonly HashedCutoff[]
    }
  | {
      readonly kind: 'cutoffs'
      /** The place that it continues from. */
      readonly previous: number
      readonly seq: number
      readonly cutoffs: readonly HashedCutoff[]
    }
  | {
      readonly kind: 'heartbeat'
      readonly epoch: string
      readonly seq: number
      /** Everything up to this time of the store has been told. Epoch milliseconds. */
      readonly asOfMs: number
    }

/** What was said last cannot be continued, whatever comes next. */
export class FeedBroken extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'FeedBroken'
  }
}

type Members = Readonly<Record<string, unknown>>

/** One event of a stream. @throws FeedBroken */
export function decodeEvent(event: string, data: string): FeedMessage {
  const members = objectOf(data)
  if (event === FEED_EVENT.snapshot) return snapshotOf(members)
  if (event === FEED_EVENT.cutoffs) return cutoffsOf(members)
  if (event === FEED_EVENT.heartbeat) return heartbeatOf(members)
  throw new FeedBroken('an event of the feed that is not known')
}

/** The answer to a poll: what a stream would have said, in its order. @throws FeedBroken */
export function decodeAnswer(text: string): readonly FeedMessage[] {
  const members = objectOf(text)
  const told = Object.hasOwn(members, 'salt') ? snapshotOf(members) : cutoffsOf(members)
  return Object.hasOwn(members, 'as_of') ? [told, heartbeatOf(members)] : [told]
}

function objectOf(text: string): Members {
  let value: unknown
  try {
    value = parseStrictJson(text)
  } catch (fault) {
    throw new FeedBroken('a message of the feed is no JSON', fault)
  }
  if (!isJsonObject(value)) throw malformed('message')
  return value
}

function snapshotOf(members: Members): FeedMessage {
  const [epoch, salt] = [name(members, 'epoch'), name(members, 'salt')]
  return { kind: 'snapshot', epoch, seq: integer(members, 'seq'), salt, cutoffs: list(members) }
}

function cutoffsOf(members: Members): FeedMessage {
  const [previous, seq] = [integer(members, 'previous'), integer(members, 'seq')]
  if (seq < previous) throw malformed('seq')
  return { kind: 'cutoffs', previous, seq, cutoffs: list(members) }
}

function heartbeatOf(members: Members): FeedMessage {
  return {
    kind: 'heartbeat',
    epoch: name(members, 'epoch'),
    seq: integer(members, 'seq'),
    asOfMs: integer(members, 'as_of'),
  }
}

function list(members: Members): readonly HashedCutoff[] {
  const { cutoffs } = members
  if (!Array.isArray(cutoffs)) throw malformed('cutoffs')
  return cutoffs.map((one: unknown) => {
    if (!isJsonObject(one)) throw malformed('cut-off')
    // One of a dimension that this version does not know would live on here: then this version is too old to go on.
    const dimension = DIMENSIONS.find((known) => known === one['dimension'])
    if (dimension === undefined) throw new FeedBroken('a cut-off of a dimension that this version does not know')
    return { dimension, id: name(one, 'id'), seq: integer(one, 'seq'), expiresAtMs: integer(one, 'expires_at_ms') }
  })
}

/** What places, salts and salted ids are made of. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/

function name(members: Members, member: string): string {
  const value = own(members, member)
  if (typeof value !== 'string' || !NAME.test(value)) throw malformed(member)
  return value
}

function integer(members: Members, member: string): number {
  const value = own(members, member)
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformed(member)
  return value
}

function own(members: Members, member: string): unknown {
  return Object.hasOwn(members, member) ? members[member] : undefined
}

function malformed(what: string): FeedBroken {
  return new FeedBroken(`the feed of revocations has a malformed ${what}`)
}
