/**
 * The key pair of an agent or a service: its private half is one JWK in a file of its owner's, its public half stands in the
 * registry. The broker never sees the private half.
 */
import { createPrivateKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { publicMembers } from '../../jose/jwk.ts'
import { isName } from '../../jose/name.ts'
import { type SigningKey, signJwt } from '../../jose/sign-jwt.ts'
import { isJsonObject, parseStrictJson } from '../../jose/strict-json.ts'
import { newJti } from '../../kernel/ids.ts'
import { Secret } from '../../kernel/secret.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
import { UsageError } from '../failures.ts'
import { readPrivateFile } from '../private-file.ts'

/** Made for one request: long enough to be pasted, far below what the broker accepts. */
const ASSERTION_LIFETIME_S = 60

export interface NewClientKey {
  /** The file's text. Never print it. */
  readonly privateText: Secret
  /** As the registry writes it. */
  readonly registered: Readonly<Record<string, string>>
}

export function newClientKey(clientId: string): NewClientKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return describeKey(`${clientId}-1`, privateKey)
}

function describeKey(kid: string, privateKey: KeyObject): NewClientKey {
  const jwk = privateKey.export({ format: 'jwk' })
  const privateText = new Secret(`${JSON.stringify({ kid, alg: 'ES256', use: 'sig', ...jwk }, undefined, 2)}\n`)
  return { privateText, registered: { kid, version: '1', alg: 'ES256', ...publicMembers(jwk) } }
}

/** Where commands look for a client's key: beside the configuration. */
export function clientKeyPath(directory: string, clientId: string): string {
  return join(directory, 'agents', `${clientId}.jwk.json`)
}

/** @throws UsageError, which never quotes the file */
export async function readClientKey(path: string): Promise<SigningKey> {
  const jwk = parseKey(await readPrivateFile(path))
  if (jwk === undefined) throw new UsageError(`${path} is not a private JWK with kid and alg`)
  try {
    const { kid, alg } = jwk
    return { kid, alg, key: createPrivateKey({ key: jwk.members, format: 'jwk' }) }
  } catch {
    throw new UsageError(`${path} is not a usable private key`)
  }
}

/** The public half of a key file of `newClientKey`, as the registry writes it. @throws UsageError */
export async function readRegisteredKey(path: string): Promise<Readonly<Record<string, string>>> {
  const { kid, key } = await readClientKey(path)
  return describeKey(kid, key).registered
}

function parseKey(text: string): { kid: string; alg: string; members: JsonWebKey } | undefined {
  try {
    const value = parseStrictJson(text)
    if (!isJsonObject(value)) return undefined
    const { kid, alg } = value
    return isName(kid) && isName(alg) ? { kid, alg, members: value as JsonWebKey } : undefined
  } catch {
    return undefined
  }
}

/** RFC 7523 §2.2: whoever made this holds the client's key. */
export async function mintAssertion(key: SigningKey, clientId: string, issuer: string, now: number): Promise<Secret> {
  const claims = { iss: clientId, sub: clientId, aud: issuer, iat: now, exp: now + ASSERTION_LIFETIME_S, jti: newJti() }
  return new Secret(await signJwt(key, JWT_TYP.clientAuthentication, claims))
}
