/** A session's record as a plain object, and commits read as their type says: nothing of `src/store` is used. */
import { Rejection } from '../../../src/kernel/rejection.ts'
import type { SessionChange } from '../../../src/sessions/session-commits.ts'

export type Fields = Map<string, string>

function holds(fields: Fields, check: SessionChange['checks'][number]['check']): boolean {
  const value = fields.get(check.field)
  switch (check.check) {
    case 'absent':
      return value === undefined
    case 'present':
      return value !== undefined
    case 'oneOf':
      return value !== undefined && check.values.includes(value)
    case 'above':
      return value !== undefined && Number(value) > check.value
    case 'below':
      return value === undefined || Number(value) < check.value
  }
}

/** Performs the change, or gives the reason of the first check that does not hold and changes nothing. */
export function perform(fields: Fields, change: SessionChange): string | undefined {
  for (const guarded of change.checks) {
    if (holds(fields, guarded.check)) continue
    const refusal = guarded.refusal()
    if (!(refusal instanceof Rejection)) throw new Error('a refusal must be a Rejection')
    return refusal.reason
  }
  for (const operation of change.operations) {
    const old = fields.get(operation.field) ?? '0'
    fields.set(operation.field, operation.operation === 'set' ? operation.value : String(Number(old) + operation.by))
  }
  return undefined
}
