/**
 * An agent working for itself: its client authentication is the evidence, there is no subject token.
 *
 * Does not validate: anything. The caller passes the agent that `client-authentication.ts` has just verified.
 */

import type { Agent } from '../../model/client.ts'
import type { SelfEvidence } from '../../model/evidence.ts'
import { verified } from '../verified.ts'

export function selfEvidence(agent: Agent): SelfEvidence {
  return verified({ kind: 'self', agent })
}
