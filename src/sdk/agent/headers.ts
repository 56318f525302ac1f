/** A token as headers, for what takes nothing else. */
import { AgentError } from './agent-errors.ts'
import type { DpopKey } from './dpop-key.ts'
import type { AccessToken } from './token-cache.ts'

/** The one request that a proof is for (RFC 9449 §4.2). */
export interface RequestOfToken {
  readonly method: string
  readonly url: string
}

export async function tokenHeaders(
  { secret, type }: AccessToken,
  proofs: DpopKey | undefined,
  request: RequestOfToken | undefined,
): Promise<Record<string, string>> {
  const authorization = `${type} ${secret.reveal()}`
  if (type !== 'DPoP' || proofs === undefined) return { Authorization: authorization }
  if (request === undefined) {
    throw new AgentError('tokens are bound here, and each request needs its own proof: use fetch, or say which request')
  }
  return { Authorization: authorization, DPoP: await proofs.proof({ ...request, token: secret }) }
}
