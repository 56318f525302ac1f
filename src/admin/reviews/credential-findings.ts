/** Credentials that end, have ended, or that nobody has used. */

import { CREDENTIAL_END_AHEAD_S } from '../../kernel/credential-limits.ts'
import { dayText } from '../../kernel/time-text.ts'
import type { Agent, Client, ClientSecret } from '../../model/client.ts'
import { CLIENT_AUTH_METHOD, type ClientAuthenticationMethod } from '../../protocol/oauth.ts'
import { type AgentUsage, credentialName } from './agent-usage.ts'
import type { Finding } from './finding.ts'

/** @param now epoch seconds */
export function endingCredentials(client: Client, now: number): readonly Finding[] {
  const apiKeys = client.kind === 'agent' ? client.apiKeys : []
  return [
    ...client.secrets.flatMap((one) => ending(client, one, client.secrets, now)),
    ...apiKeys.flatMap((one) => ending(client, one, apiKeys, now)),
  ]
}

/** Of two the older one is meant to end. */
function ending(client: Client, secret: ClientSecret, all: readonly ClientSecret[], now: number): readonly Finding[] {
  const isApiKey = client.kind === 'agent' && client.apiKeys.some((key) => key === secret)
  const name = `${isApiKey ? 'API key' : 'secret'} ${secret.id}`
  const command = `errand ${isApiKey ? 'apikey' : 'secret'} rotate ${client.clientId}${isApiKey ? ` ${secret.id}` : ''}`
  const about = { severity: 'attention', ...objectOf(client) } as const
  if (!(now < secret.expiresAt)) {
    const says = `${name} has ended on ${dayText(secret.expiresAt)}: remove it, or ${command}`
    return [{ ...about, kind: 'credential_expired', says }]
  }
  const ahead = now + CREDENTIAL_END_AHEAD_S
  const hasSuccessor = !isApiKey && all.some((other) => other.expiresAt > Math.max(secret.expiresAt, ahead))
  if (hasSuccessor || secret.expiresAt > ahead) return []
  return [{ ...about, kind: 'credential_expiring', says: `${name} ends on ${dayText(secret.expiresAt)}: ${command}` }]
}

/** A key that nobody uses is one that nobody misses when it is stolen. Since when it has been there is not known: a notice. */
export function unusedCredentials(agent: Agent, usage: AgentUsage, from: number): readonly Finding[] {
  const of = (method: ClientAuthenticationMethod, version: string, credential: string) =>
    credentialName({ authentication: { method, credential }, version })
  const named = [
    ...agent.keys.flatMap(({ kid, version }) =>
      kid === undefined ? [] : [{ says: `key ${kid}`, name: of(CLIENT_AUTH_METHOD.assertion, version, kid) }],
    ),
    ...agent.secrets.map(({ id, version }) => ({
      says: `secret ${id}`,
      name: of(CLIENT_AUTH_METHOD.secret, version, id),
    })),
    ...agent.apiKeys.map(({ id, version }) => ({
      says: `API key ${id}`,
      name: of(CLIENT_AUTH_METHOD.apiKey, version, id),
    })),
  ]
  return named
    .filter(({ name }) => usage.credentials.isUnusedSince(name, from))
    .map(({ says, name }): Finding => {
      const at = usage.credentials.at(name)
      const when = at === undefined ? `since counting began on ${dayText(usage.since)}` : `since ${dayText(at)}`
      return { kind: 'credential_unused', severity: 'notice', ...objectOf(agent), says: `${says} was not used ${when}` }
    })
}

export function objectOf(client: Client): Pick<Finding, 'object' | 'owner'> {
  const object = `${client.kind}:${client.clientId}`
  return client.kind === 'agent' ? { object, owner: client.owner } : { object }
}
