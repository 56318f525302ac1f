/**
 * The verifiers that a drill watches: at each broker the MCP server's own client twice, once asking by introspection, once
 * following that broker's feed with the verifier that MCP servers use.
 */

import { signJwt } from '../../jose/sign-jwt.ts'
import type { Secret } from '../../kernel/secret.ts'
import { ENDPOINT, GRANT_TYPE, JWT_TYP } from '../../protocol/oauth.ts'
import { BrokerRefused } from '../../sdk/broker/http.ts'
import { TokenRefused } from '../../sdk/verify/verified-token.ts'
import { createVerifier } from '../../sdk/verify/verifier.ts'
import { type BrokerClient, BrokerRefusal } from '../broker-client.ts'
import { CommandFailure } from '../failures.ts'
import { programName } from '../invocation.ts'
import { ask, type Speaker } from './speaker.ts'

export const WAYS = ['introspection', 'feed'] as const
export type Way = (typeof WAYS)[number]

/** `unanswered`: nobody can say now. A server refuses then, but not for good. */
export type Verdict = 'accepted' | 'refused' | 'unanswered'

export interface DrillVerifier {
  readonly broker: string
  readonly by: Way
  /** How soon it is worth asking again. */
  readonly pauseMs: number
  verdict(token: Secret): Promise<Verdict>
  close(): Promise<void>
}

export interface DrillBroker {
  readonly name: string
  /** For what must come to its end. */
  readonly client: BrokerClient
  /** For what ends with the drill. */
  readonly watching: BrokerClient
}

const READY_MS_MAX = 10_000

export function byIntrospection(server: Speaker, { name, watching }: DrillBroker): DrillVerifier {
  return {
    broker: name,
    by: 'introspection',
    pauseMs: 10,
    verdict: async (token) => {
      try {
        const { active } = await ask(server, watching, ENDPOINT.introspection, { token: token.reveal() })
        return active === true ? 'accepted' : active === false ? 'refused' : 'unanswered'
      } catch (fault) {
        const mayPass = fault instanceof CommandFailure || (fault instanceof BrokerRefusal && fault.status >= 429)
        if (mayPass) return 'unanswered'
        throw fault
      }
    },
    close: async () => undefined,
  }
}

/** Resolves when it knows every revocation. @throws BrokerRefusal, CommandFailure */
export async function byFeed(server: Speaker, broker: DrillBroker, resource: string): Promise<DrillVerifier> {
  await assertMayFollow(server, broker)
  const { name, watching } = broker
  const { issuer, clientId, key } = server
  const at = (url: string) => url.slice(issuer.length)
  const verifier = createVerifier({
    issuer,
    resource,
    algorithms: ['ES256', 'RS256', 'Ed25519', 'EdDSA'],
    door: ({ url, form, bearer }) =>
      told(async () => {
        if (form !== undefined) return JSON.stringify(await watching.postForm(at(url), form))
        return JSON.stringify(await (bearer === undefined ? watching.state(at(url)) : watching.get(at(url), bearer)))
      }),
    streams: ({ url, bearer, lastEventId, signal }) =>
      told(() => watching.stream(at(url), bearer, { lastEventId, signal })),
    revocations: { clientId, sign: (claims) => signJwt(key, JWT_TYP.clientAuthentication, claims) },
  })
  const { revocations } = verifier
  if (revocations === undefined) throw new Error('it follows the revocations')
  const late = setTimeout(() => void revocations.close(), READY_MS_MAX)
  try {
    await revocations.ready()
  } catch (cause) {
    const why = revocations.state.fault ?? `no heartbeat in ${READY_MS_MAX / 1000} s`
    throw new CommandFailure(`the revocations cannot be followed at ${name}: ${why}`, cause)
  } finally {
    clearTimeout(late)
  }
  return {
    broker: name,
    by: 'feed',
    pauseMs: 5,
    verdict: async (token) => {
      try {
        await verifier.verify(token.reveal())
        return 'accepted'
      } catch (fault) {
        if (!(fault instanceof TokenRefused)) throw fault
        return fault.kind === 'invalid' ? 'refused' : 'unanswered'
      }
    },
    close: () => revocations.close(),
  }
}

/** In words of its own: a verifier that is not let in tries again and again. */
async function assertMayFollow(server: Speaker, { client }: DrillBroker): Promise<void> {
  const form = { grant_type: GRANT_TYPE.clientCredentials, resource: `${server.issuer}/api`, scope: 'revocations' }
  try {
    await ask(server, client, ENDPOINT.token, form)
  } catch (fault) {
    if (!(fault instanceof BrokerRefusal) || fault.status >= 500) throw fault
    const entry = 'grant_types: [client_credentials] and api_scopes: [revocations]'
    const advice = `let ${server.clientId} follow the revocations: ${entry} in its entry (${programName()} service add --follow writes them); or drill without: --by introspection`
    throw new BrokerRefusal(fault.status, fault.body, advice)
  }
}

async function told<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (fault) {
    throw fault instanceof BrokerRefusal ? new BrokerRefused(fault.status) : fault
  }
}
