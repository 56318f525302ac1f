/** A client's own key, made for this run and kept in memory; the broker is told its public half only. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'

export interface ClientKey {
  readonly clientId: string
  readonly kid: string
  readonly alg: 'ES256'
  /** The private half. */
  readonly key: KeyObject
  /** As the registry writes it. */
  readonly registered: Readonly<Record<string, unknown>>
}

export function newClientKey(clientId: string): ClientKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = `${clientId}-1`
  const registered = { kid, version: '1', alg: 'ES256', ...publicKey.export({ format: 'jwk' }) }
  return { clientId, kid, alg: 'ES256', key: privateKey, registered }
}
