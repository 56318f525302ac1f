/**
 * An MCP server's verifier as a process of its own: one line of JSON (`VerifierOrder`), then one token a line; each is answered
 * with its number and the verdict.
 */
import { createPrivateKey, type JsonWebKey } from 'node:crypto'
import { createInterface } from 'node:readline'
import { signJwt } from '../../src/jose/sign-jwt.ts'
import { TokenRefused } from '../../src/sdk/verify/verified-token.ts'
import { createVerifier, type Verifier } from '../../src/sdk/verify/verifier.ts'
import type { Verdict } from './history.ts'

export interface VerifierOrder {
  readonly issuer: string
  readonly resource: string
  readonly clientId: string
  readonly kid: string
  readonly key: JsonWebKey
}

function start({ issuer, resource, clientId, kid, key }: VerifierOrder): Verifier {
  const signing = { kid, alg: 'ES256', key: createPrivateKey({ key, format: 'jwk' }) }
  const sign = (claims: Readonly<Record<string, unknown>>) => signJwt(signing, 'client-authentication+jwt', claims)
  return createVerifier({ issuer, resource, introspection: { clientId, sign } })
}

async function verdictOf(verifier: Verifier, token: string): Promise<Verdict> {
  try {
    await verifier.verify(token)
    return 'accepted'
  } catch (error) {
    return error instanceof TokenRefused && error.kind === 'invalid' ? 'refused' : 'unavailable'
  }
}

let verifier: Verifier | undefined
createInterface({ input: process.stdin }).on('line', (line) => {
  if (verifier === undefined) {
    verifier = start(JSON.parse(line) as VerifierOrder)
    return
  }
  const { id, token } = JSON.parse(line) as { id: number; token: string }
  void verdictOf(verifier, token).then((verdict) => process.stdout.write(`${JSON.stringify({ id, verdict })}\n`))
})
