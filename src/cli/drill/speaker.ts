/** Who speaks in a drill: clients with their own keys, one fresh assertion per request; and what to do where a broker refuses one. */
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { configPath } from '../../config/load-config.ts'
import type { SigningKey } from '../../jose/sign-jwt.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { CLIENT_ASSERTION_TYPE_JWT } from '../../protocol/oauth.ts'
import { clientKeyPath, mintAssertion, readClientKey } from '../agent/client-key.ts'
import type { Args } from '../args.ts'
import { type BrokerClient, BrokerRefusal } from '../broker-client.ts'
import { type JsonObject, textOf } from '../json-fields.ts'

const PATIENCE_MS = 5_000
const AGAIN_MS = 100

export interface Speaker {
  readonly clientId: string
  readonly issuer: string
  readonly key: SigningKey
}

/** @param keyOption names its key file; absent: beside the configuration. @throws UsageError */
export async function speakerOf(args: Args, clientId: string, keyOption: string, issuer: string): Promise<Speaker> {
  const directory = dirname(resolve(configPath(args.text('config'))))
  return { clientId, issuer, key: await readClientKey(args.text(keyOption) ?? clientKeyPath(directory, clientId)) }
}

/** One authenticated request. @throws BrokerRefusal, with what to do about it; CommandFailure */
export async function ask(
  { clientId, issuer, key }: Speaker,
  broker: BrokerClient,
  path: string,
  members: Readonly<Record<string, string>>,
): Promise<JsonObject> {
  const form = new URLSearchParams(members)
  const assertion = await mintAssertion(key, clientId, issuer, epochSeconds(systemClock))
  form.set('client_assertion_type', CLIENT_ASSERTION_TYPE_JWT)
  form.set('client_assertion', assertion.reveal())
  try {
    return await broker.postForm(path, form)
  } catch (fault) {
    if (!(fault instanceof BrokerRefusal)) throw fault
    throw new BrokerRefusal(fault.status, fault.body, adviceOf(fault, clientId))
  }
}

/** As agents do: what a broker could not do for a moment (503, 429) it is asked again. @throws as `ask` */
export async function askPatiently(...asked: Parameters<typeof ask>): Promise<JsonObject> {
  const begunMs = performance.now()
  for (;;) {
    try {
      return await ask(...asked)
    } catch (fault) {
      const mayPass = fault instanceof BrokerRefusal && fault.status >= 429
      if (!mayPass || performance.now() - begunMs > PATIENCE_MS) throw fault
      await sleep(AGAIN_MS)
    }
  }
}

function adviceOf({ status, body }: BrokerRefusal, clientId: string): string | undefined {
  const publish = 'then errand policy apply'
  // Strangers are not told more.
  if (status === 401) return `is ${clientId} registered at this broker, with the key that is used here?`
  switch (textOf(body['error_reason'])) {
    case 'standing_intent_missing':
      return `give ${clientId} a standing_intent with a tool of that server, ${publish}`
    case 'resource_not_in_session':
      return `give the standing_intent of the drill’s agent a tool of that server, ${publish}`
    case 'delegate_not_allowed':
      return `name the sub-agent in the delegates of the drill’s agent, ${publish}`
    case 'resource_cannot_enforce':
    case 'nothing_granted':
      return 'leave something whole for everybody: a standing_intent with tools of two scopes, or of two servers'
    case 'grant_type_not_allowed':
      return `the drill’s agent needs client_credentials, with evidence or a sub-agent token-exchange, ${publish}`
    case 'subject_issuer_unknown':
      return 'register who vouches for the agent under workload_issuers, and the agent’s workloads; README, Drill'
    default:
      return undefined
  }
}
