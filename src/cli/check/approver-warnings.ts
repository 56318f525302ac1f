/** Tools whose calls wait for a person, in a configuration where nobody could be that person: each call waits until its time is up. */
import type { Config } from '../../config/config.ts'
import type { Registry } from '../../model/registry.ts'

export function approverWarnings(
  { resources, issuers }: Pick<Registry, 'resources' | 'issuers'>,
  { admins }: Pick<Config, 'admins'>,
): readonly string[] {
  const waiting = resources
    .filter(({ enforces }) => enforces === 'calls')
    .flatMap(({ id, tools }) =>
      [...tools.values()].flatMap(({ name, delegable, approval }) =>
        delegable && approval === 'required' ? [`${name} at ${id}`] : [],
      ),
    )
  if (waiting.length === 0) return []
  const named =
    waiting.length > 3 ? `${waiting.slice(0, 3).join(', ')} and ${waiting.length - 3} more` : waiting.join(', ')
  if (!admins.some(({ roles }) => roles.includes('approver'))) {
    return [`approvals: ${named} wait for a person, and admins names nobody with the role approver`]
  }
  if (issuers.some(({ adminAudience }) => adminAudience !== undefined)) return []
  return [`approvals: ${named} wait for a person, and nobody can sign in to approve: no issuer has an admin_audience`]
}
