/**
 * W3C Trace Context: the header `traceparent`, which says in whose trace a request happens, and `tracestate`, which tracing systems
 * put beside it for each other. Read strictly: what the recommendation does not admit is as if it had not been sent (§4.3), never
 * repaired. They authorize nothing.
 */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits, not all of them 0. */
  readonly traceId: string
  /** 16 of them: the span of whoever sent it. */
  readonly spanId: string
  /** §3.2.2.5, two digits: the lowest bit says that its sender keeps the trace. */
  readonly flags: string
}

export const TRACEPARENT = 'traceparent'
export const TRACESTATE = 'tracestate'

const HEADER = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]{0,200})?$/
const NOTHING = /^0+$/

/** `undefined`: none was sent, or it is not well-formed. Several are one text with commas, which is none. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  const [, version, traceId = '', spanId = '', flags = '', rest] = HEADER.exec(text ?? '') ?? []
  if (version === undefined || version === 'ff' || NOTHING.test(traceId) || NOTHING.test(spanId)) return undefined
  // §3.2.2.1: of a later version what we know of is read; ours has nothing behind the flags.
  return version === '00' && rest !== undefined ? undefined : { traceId, spanId, flags }
}

/** Whether its sender keeps the trace: a wish, because how much is kept here is not for callers to decide. */
export function isKeptBySender({ flags }: TraceContext): boolean {
  return (Number.parseInt(flags, 16) & 1) === 1
}

/** The header, of version 00. */
export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${flags}`
}

/** §3.3.1.1: members of the list; §3.3.1.5: a list of so many characters is passed on whole, and no longer one here. */
const TRACESTATE_MEMBERS_MAX = 32
const TRACESTATE_CHARS_MAX = 512
/** §3.3.1.3: a key, of one vendor or of a tenant at one; printable ASCII without comma and equals sign, not ending in a space. */
const KEY = /^(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/** The header as it came (§3.3: whoever adds nothing to it changes nothing of it); `undefined`: none was sent, or it is not well-formed. */
export function plainTracestate(text: string | undefined): string | undefined {
  if (text === undefined || text.length > TRACESTATE_CHARS_MAX) return undefined
  const members = text.split(',').map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''))
  const named = members.filter((member) => member !== '')
  const keys = new Set(named.map((member) => member.slice(0, member.indexOf('='))))
  const isList = named.length > 0 && members.length <= TRACESTATE_MEMBERS_MAX && keys.size === named.length
  return isList && named.every(isMember) ? text : undefined
}

function isMember(member: string): boolean {
  const at = member.indexOf('=')
  return at > 0 && KEY.test(member.slice(0, at)) && VALUE.test(member.slice(at + 1))
}
