/**
 * Calls outside what a session is for: announced by the server whose token it is, refused, and counted as drift with the record of
 * the refusal.
 *
 * Guarantees: a question that announces no call counts nothing; nor does what the session allows and this token does not, or policy has
 * taken away since. An attempt counts once, however often it is asked about.
 */
import type { AuditDraft } from '../audit/audit-draft.ts'
import { argumentsRefusal } from '../authority/constraints.ts'
import { agentsOf } from '../authority/named.ts'
import type { Attempt } from './attempt.ts'
import type { Prepared } from './judge.ts'
import type { ServiceCall } from './service-call.ts'

/** How the refusal's record is written so that it counts; `undefined`: it does not. */
export function countedOutside(
  attempt: Attempt | undefined,
  asked: Prepared,
  draft: AuditDraft,
  { parts }: ServiceCall,
): ((record: string) => Promise<boolean>) | undefined {
  if (attempt === undefined || !isOutside(asked)) return undefined
  const { key, bearer } = attempt
  const agents = agentsOf(bearer.token, parts.settings.issuer)
  const about = { held: bearer, agents, key, decision: draft.id, contents: draft.contents }
  return (record) => parts.drift.refused({ ...about, record })
}

/**
 * By what its hop of the session was given, of which the token may be a part: whoever needs another token for this very call has
 * not left what the session is for.
 */
function isOutside({ bearer, matter, tools }: Prepared): boolean {
  const here = bearer?.node.authority.resources.get(matter.resource.url)
  return tools.some((tool) => {
    const constraints = here?.tools.get(tool)
    if (constraints === undefined) return true
    return matter.arguments !== undefined && argumentsRefusal(constraints, matter.arguments) !== undefined
  })
}
