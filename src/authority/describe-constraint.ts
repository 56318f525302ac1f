/** A constraint in words: what a refusal says was needed. Only the policy's own text, cut short; never a caller's value. */
import type { ArgumentConstraint, Scalar } from './authority.ts'
import { shown } from './strict-object.ts'

const MEMBERS_SHOWN_MAX = 8

export function describeConstraint(constraint: ArgumentConstraint): string {
  const { minimum, maximum, maxLength, prefix, maxItems } = constraint
  const parts: string[] = []
  if (constraint.const !== undefined) parts.push(describeScalar(constraint.const))
  if (constraint.enum !== undefined) parts.push(describeEnum(constraint.enum))
  if (minimum !== undefined) parts.push(`a number of at least ${minimum}`)
  if (maximum !== undefined) parts.push(`a number of at most ${maximum}`)
  if (prefix !== undefined) parts.push(`a string starting with ${shown(prefix)}, without .., backslash or percent sign`)
  if (maxLength !== undefined) parts.push(`a string of at most ${maxLength} characters`)
  if (maxItems !== undefined) parts.push(`an array of at most ${maxItems} items`)
  return parts.length === 0 ? 'anything' : parts.join(' and ')
}

function describeScalar(value: Scalar): string {
  return typeof value === 'string' ? shown(value) : String(value)
}

function describeEnum(members: readonly Scalar[]): string {
  const more = members.length - MEMBERS_SHOWN_MAX
  const listed = members.slice(0, MEMBERS_SHOWN_MAX).map(describeScalar).join(', ')
  return `one of ${listed}${more > 0 ? ` and ${more} more` : ''}`
}
