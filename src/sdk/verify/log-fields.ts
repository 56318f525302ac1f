/**
 * Who a request is by, as a line of a server's log should say it (R123, R176): the person it is for and the agent that is the means,
 * beside each other, whatever other servers it came through. Names of OpenTelemetry's attributes where it has one. No secrets.
 */
import type { VerifiedToken } from './verified-token.ts'

export interface LogFields {
  /** `user:<issuer>:<sub>`; absent where the work is on no user's behalf. */
  readonly 'enduser.id'?: string
  /** The agent nearest to this server, without the servers in between. */
  readonly 'agent.id'?: string
  /** Who called: the agent itself, or a server that went on in its name. */
  readonly 'client.id': string
  /** Newest first, with the servers in between. */
  readonly 'errand.actors': readonly string[]
  readonly 'errand.session': string
  /** The piece of work: what the lines of all servers that took part in it have in common. */
  readonly 'errand.txn'?: string
  readonly 'errand.jti': string
  /** What set it off: `user_request` is the user, anything else the agent by itself or for another. */
  readonly 'errand.origin'?: string
  readonly 'errand.intent'?: string
}

const AGENT = 'agent:'

export function logFields(token: VerifiedToken): LogFields {
  const { user, clientId, actors, session, txn, jti, intent, subject } = token
  const agent = [...actors, subject].find((actor) => actor.startsWith(AGENT))
  return {
    ...(user === undefined ? {} : { 'enduser.id': user }),
    ...(agent === undefined ? {} : { 'agent.id': agent.slice(AGENT.length) }),
    'client.id': clientId,
    'errand.actors': actors,
    'errand.session': session,
    ...(txn === undefined ? {} : { 'errand.txn': txn }),
    'errand.jti': jti,
    ...(intent?.origin === undefined ? {} : { 'errand.origin': intent.origin.type }),
    ...(intent === undefined ? {} : { 'errand.intent': intent.hash }),
  }
}
