/** What records are asked for: the same options wherever records are listed, counted or followed. */
import { ORIGIN_TYPES } from '../../model/intent.ts'
import type { Args } from '../args.ts'
import type { OptionSpecs } from '../options.ts'

export const TIME_OPTIONS: OptionSpecs = {
  since: { value: 'TIME', help: 'only since then, such as 2026-11-01T14:00:00Z' },
  until: { value: 'TIME', help: 'only before then' },
}

export const TRAIL_OPTIONS: OptionSpecs = {
  agent: { value: 'NAME', help: 'only of this agent' },
  user: { value: 'USER', help: 'only of or for this user: user:<issuer slug>:<sub>, or an e-mail address' },
  session: { value: 'SESSION', help: 'only of this session' },
  txn: { value: 'TXN', help: 'only of this piece of work' },
  tool: { value: 'TOOL', help: 'only calls of this tool' },
  server: { value: 'SERVER', help: 'only at this server: its URL, or its id' },
  service: { value: 'NAME', help: 'only of this server’s own client' },
  outcome: {
    value: 'OUTCOME',
    help: 'granted, refused, unfinished or undone; of calls, how they ended: success, failure or unknown',
  },
  reason: { value: 'REASON', help: 'only those refused for this reason' },
  event: { value: 'EVENT', help: 'only such events: call.attempt, session.open, …' },
  class: { value: 'CLASS', help: 'only of those who asked as agent, service, user, operator or stranger' },
  origin: { value: 'ORIGIN', help: `only what was set off by ${ORIGIN_TYPES.join(', ')}` },
  by: { value: 'PRINCIPAL', help: 'only what this one asked: agent:…, service:…, user:…, operator:…' },
  jti: { value: 'JTI', help: 'only of this token' },
  id: { value: 'DECISION', help: 'only of this decision' },
  object: { value: 'OBJECT', help: 'only changes of this, such as agents/researcher' },
  ...TIME_OPTIONS,
}

/** Those of the options that are given, as the admin API takes them. */
export function trailQuery(args: Args, options: OptionSpecs = TRAIL_OPTIONS): URLSearchParams {
  const given = Object.keys(options).flatMap((name) => {
    const value = args.text(name)
    return value === undefined ? [] : [[name, value] as [string, string]]
  })
  return new URLSearchParams(given)
}
