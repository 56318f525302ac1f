/** What an issuer's entry calls whom: tokens of one kind of holder must not pass for those of another. */
import type { Sliced } from '../../kernel/slices.ts'
import type { AgentEntry } from '../entries/agent-entry.ts'
import type { IssuerEntry } from '../entries/issuer-entry.ts'

interface Named {
  readonly issuers: readonly { readonly at: string; readonly entry: IssuerEntry }[]
  readonly agents: readonly { readonly at: string; readonly entry: AgentEntry }[]
}

/**
 * An agent holds tokens for its own client id: with that audience they must not also speak for the user over all sessions, and
 * neither they nor the user's must open the admin API.
 */
export function* checkAudiences({ issuers, agents }: Named, broker: string, problems: string[]): Sliced<undefined> {
  for (const { at, entry } of issuers) {
    if (entry.broker_audience !== undefined && entry.broker_audience === entry.user_audience) {
      problems.push(`${at}.broker_audience: is also user_audience; what agents hold must not pass for what users hold`)
    }
    const others = [entry.broker_audience ?? broker, entry.user_audience, ...entry.other_audiences]
    if (entry.admin_audience !== undefined && others.includes(entry.admin_audience)) {
      problems.push(`${at}.admin_audience: is also an audience of other tokens; admins need one of their own`)
    }
    for (const [member, whom] of [
      ['user_audience', 'users'],
      ['admin_audience', 'admins'],
    ] as const) {
      yield
      const holder = agents.find((agent) => agent.entry.upstream[entry.slug] === entry[member])
      if (entry[member] === undefined || holder === undefined) continue
      problems.push(
        `${at}.${member}: is also the client id of ${holder.at} there; register a client of its own for ${whom}`,
      )
    }
  }
}
