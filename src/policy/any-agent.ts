/**
 * No agent in particular: who would act for a user where a question names nobody. Its answer is the user's half alone, which is
 * the most that any agent could do for them; nothing is ever issued to it.
 */
import type { ClientId } from '../kernel/ids.ts'
import type { Agent } from '../model/client.ts'

/** No client can be registered under this name, so no rule names it. */
export const ANY_AGENT_ID = '*' as ClientId

export function anyAgent(environment: string): Agent {
  return {
    kind: 'agent',
    clientId: ANY_AGENT_ID,
    state: 'active',
    owner: '',
    environment,
    manifest: [{ selector: { server: '*' }, constraints: new Map() }],
    certifiedUntil: undefined,
    versions: new Map(),
    delegates: [],
    upstreamClientIds: new Map(),
    standingIntent: undefined,
    issuance: [],
    apiKeys: [],
    keys: [],
    keySets: [],
    secrets: [],
    workloads: [],
    spiffeIds: [],
    legacyAssertionAudience: false,
    assertionReuse: undefined,
    certificateBound: false,
    grantTypes: [],
    apiScopes: [],
  }
}
