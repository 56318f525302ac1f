/** A stand-in for the broker's signing side: real keys, real signatures, and an in-process door that counts. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { signJwt } from '../../../../src/jose/sign-jwt.ts'
import type { JsonDoor, JsonRequest } from '../../../../src/sdk/broker/http.ts'

export const ISSUER = 'https://errand.example'
export const RESOURCE = 'https://warehouse.example/mcp'
export const NOW_S = 1_790_000_000

export interface Key {
  readonly kid: string
  readonly alg: string
  readonly key: KeyObject
  readonly jwk: Readonly<Record<string, unknown>>
}

export function newKey(kid: string): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { kid, alg: 'ES256', key: privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256' } }
}

export function claims(changes: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    iss: ISSUER,
    sub: 'user:corp:alice',
    aud: RESOURCE,
    client_id: 'report-writer',
    iat: NOW_S,
    exp: NOW_S + 300,
    jti: 'jti_1',
    sid: 'ses_1',
    scope: 'mcp:tools:read',
    act: {
      iss: ISSUER,
      sub: 'agent:report-writer',
      sub_profile: 'ai_agent',
      act: { iss: ISSUER, sub: 'agent:orchestrator', sub_profile: 'ai_agent' },
    },
    authorization_details: [
      {
        type: 'mcp_tools',
        locations: [RESOURCE],
        tools: { query: { table: { const: 'revenue' }, limit: { maximum: 5 } } },
      },
    ],
    ...changes,
  }
}

/** `undefined` among the changes removes a claim: JSON has no word for it. */
export function token(key: Key, changes: Readonly<Record<string, unknown>> = {}, typ = 'at+jwt'): Promise<string> {
  return signJwt(key, typ, claims(changes))
}

export class ManualClock {
  ms = NOW_S * 1000
  nowMs(): number {
    return this.ms
  }
}

/** The broker's two endpoints; answers are replaced by tests. */
export class Door {
  keys: readonly Key[]
  readonly asked: JsonRequest[] = []
  jwks: () => string = () => JSON.stringify({ keys: this.keys.map(({ jwk }) => jwk) })
  introspect: (request: JsonRequest) => string = () => '{"active":true,"jti":"jti_1"}'

  constructor(keys: readonly Key[]) {
    this.keys = keys
  }

  readonly open: JsonDoor = async (request) => {
    this.asked.push(request)
    await Promise.resolve()
    return request.url === `${ISSUER}/jwks` ? this.jwks() : this.introspect(request)
  }

  get keyFetches(): number {
    return this.asked.filter(({ form }) => form === undefined).length
  }
}
