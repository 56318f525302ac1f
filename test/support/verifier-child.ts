/**
 * An MCP server's verifier as a process of its own: one line of JSON (`VerifierOrder`), `ready` once it can judge, then one question
 * a line; each is answered with its number, the verdict, and when that was.
 */
import { createPrivateKey, type JsonWebKey } from 'node:crypto'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { signJwt } from '../../src/jose/sign-jwt.ts'
import { TokenRefused } from '../../src/sdk/verify/verified-token.ts'
import { createVerifier, type Verifier } from '../../src/sdk/verify/verifier.ts'

export interface VerifierOrder {
  readonly issuer: string
  readonly resource: string
  readonly clientId: string
  readonly kid: string
  readonly key: JsonWebKey
  /** How it hears of revocations. */
  readonly hears: 'introspection' | 'feed'
}

export interface VerifierQuestion {
  readonly id: number
  readonly token: string
  /** Asked again and again, so many milliseconds apart, until it is refused. */
  readonly untilRefusedMs?: number
}

export type Verdict = 'accepted' | 'refused' | 'unavailable'

export interface VerifierAnswer {
  readonly id: number
  readonly verdict: Verdict
  /** Of the machine's clock, with fractions. */
  readonly atMs: number
}

async function start({ issuer, resource, clientId, kid, key, hears }: VerifierOrder): Promise<Verifier> {
  const signing = { kid, alg: 'ES256', key: createPrivateKey({ key, format: 'jwk' }) }
  const sign = (claims: Readonly<Record<string, unknown>>) => signJwt(signing, 'client-authentication+jwt', claims)
  const asked = { clientId, sign }
  const verifier = createVerifier({
    issuer,
    resource,
    ...(hears === 'feed' ? { revocations: asked } : { introspection: asked }),
  })
  await verifier.revocations?.ready()
  return verifier
}

async function verdictOf(verifier: Verifier, token: string): Promise<Verdict> {
  try {
    await verifier.verify(token)
    return 'accepted'
  } catch (error) {
    return error instanceof TokenRefused && error.kind === 'invalid' ? 'refused' : 'unavailable'
  }
}

async function answer(verifier: Verifier, { id, token, untilRefusedMs }: VerifierQuestion): Promise<VerifierAnswer> {
  for (;;) {
    const verdict = await verdictOf(verifier, token)
    if (verdict === 'refused' || untilRefusedMs === undefined) {
      return { id, verdict, atMs: performance.timeOrigin + performance.now() }
    }
    await sleep(untilRefusedMs)
  }
}

let verifier: Promise<Verifier> | undefined
createInterface({ input: process.stdin }).on('line', (line) => {
  if (verifier === undefined) {
    verifier = start(JSON.parse(line) as VerifierOrder)
    void verifier.then(() => process.stdout.write('ready\n'))
    return
  }
  void verifier
    .then((one) => answer(one, JSON.parse(line) as VerifierQuestion))
    .then((answered) => process.stdout.write(`${JSON.stringify(answered)}\n`))
})
