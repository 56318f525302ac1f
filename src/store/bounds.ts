/** What both stores ask of their callers, so that neither accepts what the other would refuse. */
import { CONTENTS_MAX, OUTBOX_ENDS_PERCENT, OUTBOX_RECORDS_MAX, TEXTS_KEPT_MS } from '../kernel/store-limits.ts'

/** Beyond this Redis refuses an expiry; the year 275760 is long enough to mean "as long as it takes". */
const EXPIRY_MS_MAX = 8_640_000_000_000_000

/** Takes every organisation that a configuration may name. */
const ORG = /^[a-z0-9_-]{1,64}$/

/** Every key carries the organisation (DESIGN §4): a `:` or `}` in it could reach into another's keys or another slot. */
export function checkedOrg(org: string): string {
  if (!ORG.test(org)) throw new TypeError('an organisation is 1 to 64 of a-z 0-9 _ -')
  return org
}

export function checkedExpiry(expiresAtMs: number): number {
  if (Number.isNaN(expiresAtMs)) throw new TypeError('an expiry must be a number of milliseconds')
  return Math.min(Math.max(Math.floor(expiresAtMs), 0), EXPIRY_MS_MAX)
}

export function checkedInteger(value: number, what: string): number {
  if (!Number.isSafeInteger(value)) throw new TypeError(`${what} must be a safe integer`)
  return value
}

/** The decimal integer in a field, or `undefined`: absent, not a number, and too large are all "not an integer". */
export function integerIn(text: string | undefined): number | undefined {
  if (text === undefined || !/^-?[0-9]{1,16}$/.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}

/** How long a commit's id is remembered: longer than any caller retries. */
export const COMMIT_REPEAT_MS = 600_000
export const SCHEMA_VERSION = '2'
/** Expired entries removed at once: a long delete would hold up every writer. */
export const SWEEP_ENTRIES_MAX = 100
export const SWEEP_INTERVAL_MS = 250
/** Jobs of the embedded store run on the event loop: a crowd of them must not hold up everything else for long. */
export const JOBS_PER_TRANSACTION_MAX = 256
/** What one outbox keeps. */
export interface OutboxBounds {
  readonly recordsMax: number
  readonly contentsMax: number
  readonly textsKeptMs: number
}

export function outboxBounds({ outboxMax, contentsMax, textsKeptMs }: OutboxOptions): OutboxBounds {
  return {
    recordsMax: outboxMax ?? OUTBOX_RECORDS_MAX,
    contentsMax: contentsMax ?? CONTENTS_MAX,
    textsKeptMs: textsKeptMs ?? TEXTS_KEPT_MS,
  }
}

/** Smaller bounds, where it is shown what comes of them. */
export interface OutboxOptions {
  readonly outboxMax?: number
  readonly contentsMax?: number
  readonly textsKeptMs?: number
}

/** At how many records an outbox refuses another. */
export function fullAt({ recordsMax }: OutboxBounds, isEnd = false): number {
  return withRoom(recordsMax, isEnd)
}

/** The same of what its records name. */
export function contentsFullAt({ contentsMax }: OutboxBounds, isEnd = false): number {
  return withRoom(contentsMax, isEnd)
}

function withRoom(max: number, isEnd: boolean): number {
  return isEnd ? Math.ceil((max * (100 + OUTBOX_ENDS_PERCENT)) / 100) : max
}

/** Entries of one control write: an owner's agents fit, and one script stays short. */
export const CONTROL_ENTRIES_MAX = 1_000
