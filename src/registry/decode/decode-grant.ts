/** A grant's entry as the rule it describes. */
import type { Grant, PrincipalSelector } from '../../model/registry.ts'
import type { GrantEntry } from '../entries/grant-entry.ts'
import { decodeConstraints, decodeSelector } from './decode-selector.ts'

export function decodeGrant(entry: GrantEntry, path: string, problems: string[]): Grant {
  // A deny with constraints would have to say what it means for the calls outside them; until it does, it is refused.
  if (entry.effect === 'deny' && entry.constraints !== undefined) {
    problems.push(`${path}.constraints: a deny cannot have constraints; it denies the tool as a whole`)
  }
  const { not_before: notBefore, not_after: notAfter, environment, risk } = entry.when
  if (notBefore !== undefined && notAfter !== undefined && notAfter <= notBefore) {
    problems.push(`${path}.when: not_after must be later than not_before`)
  }
  // The one spelling in which an unknown risk is on the safe side, and an operator need not ask which that is.
  if (risk !== undefined && 'at_most' in risk !== (entry.effect === 'allow')) {
    problems.push(`${path}.when.risk: an allow says at_most, a deny at_least`)
  }
  return {
    id: entry.id,
    at: path,
    effect: entry.effect,
    principals: entry.principals.map((principal) => principal as PrincipalSelector),
    resources: entry.resources.map(decodeSelector),
    when: {
      ...(notBefore === undefined ? {} : { notBefore }),
      ...(notAfter === undefined ? {} : { notAfter }),
      ...(environment === undefined ? {} : { environment }),
      ...(risk === undefined
        ? {}
        : { risk: 'at_most' in risk ? { atMost: risk.at_most } : { atLeast: risk.at_least } }),
    },
    constraints: decodeConstraints(entry.constraints, `${path}.constraints`, problems),
    reason: entry.reason,
  }
}
