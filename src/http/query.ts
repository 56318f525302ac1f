/** Query parameters of the admin API: known, of bounded length, in one form. */
import type { Context } from 'hono'
import { z } from 'zod'
import type { PrincipalId } from '../kernel/ids.ts'
import { NAME_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { LIST_ENTRIES_MAX } from '../kernel/store-limits.ts'

const time = z.iso.datetime({ offset: true })

/**
 * One that is not known would filter nothing, or hold nothing back, and look as if it had; of one that is given twice, another
 * than is meant might count. @param by whose it is, for the record. @throws Rejection `parameter_malformed`
 */
export function knownOnly(context: Context, names: readonly string[], by: PrincipalId): void {
  const given = Object.entries(context.req.queries())
  const unknown = given.some(([name]) => !names.includes(name))
  if (!unknown && given.every(([, values]) => values.length === 1)) return
  const known = names.length === 0 ? 'there are none' : `known are ${names.join(', ')}, each once`
  throw new Rejection('parameter_malformed', `a query parameter that is not known here, or given twice: ${known}`, {
    by,
  })
}

/** @throws Rejection `parameter_malformed` */
export function parameter(context: Context, name: string): string | undefined {
  const text = context.req.query(name)
  if (text !== undefined && text.length > NAME_CHARS_MAX) {
    throw new Rejection('parameter_malformed', `${name} is longer than any name there is`)
  }
  return text
}

/** Of RFC 3339, in epoch milliseconds. @throws Rejection `parameter_malformed` */
export function timeOf(context: Context, name: string): number | undefined {
  const text = parameter(context, name)
  if (text === undefined) return undefined
  if (!time.safeParse(text).success) {
    throw new Rejection('parameter_malformed', `${name} must be a time as in RFC 3339, with its offset or Z`)
  }
  return Date.parse(text)
}

/** From 1 to `LIST_ENTRIES_MAX`; a number beyond is taken for the nearer of them. @throws Rejection `parameter_malformed` */
export function limitOf(context: Context, otherwise: number): number {
  const limit = Number(parameter(context, 'limit') ?? otherwise)
  if (!Number.isInteger(limit)) throw new Rejection('parameter_malformed', 'limit must be a whole number')
  return Math.min(Math.max(1, limit), LIST_ENTRIES_MAX)
}
