/**
 * Asks the broker whether a token lives *now* (RFC 7662): the answer a signature cannot give. Authenticated with
 * `private_key_jwt`, one fresh assertion per question. Anything but a plain yes about this very token is a no. A signed answer
 * (RFC 9701) is believed for the broker's signature, whatever it came through.
 */
import { decodeJwt } from '../../jose/decode-jws.ts'
import { isJsonObject, parseStrictJson } from '../../jose/strict-json.ts'
import { verifyStatement } from '../../jose/verify-statement.ts'
import { type Clock, epochSeconds } from '../../kernel/clock.ts'
import { CLOCK_SKEW_S } from '../../kernel/limits.ts'
import { Secret } from '../../kernel/secret.ts'
import { JWT_TYP, STATEMENT_ALG } from '../../protocol/oauth.ts'
import { clientAssertion, type ServerIdentity } from '../broker/client-assertion.ts'
import type { JsonDoor } from '../broker/http.ts'
import type { KeySource } from './key-source.ts'
import { TokenRefused } from './verified-token.ts'

export interface Introspection extends ServerIdentity {
  /**
   * Takes only answers that the broker has signed, for this server, within the clock skew (30 s) of the question: for where TLS
   * ends at a proxy that is not to be believed. Default: plain JSON.
   */
  readonly signedAnswers?: boolean
}

export interface Question {
  readonly token: Secret
  readonly jti: string
}

export interface IntrospectionDependencies {
  readonly issuer: string
  readonly introspection: Introspection
  readonly door: JsonDoor
  readonly clock: Clock
  /** The broker's published keys. */
  readonly keys: Pick<KeySource, 'keysFor'>
}

/** The answer: it may open less than the token says. @throws TokenRefused `invalid` when the token is dead, `unavailable` when the broker gives no usable answer. */
export async function confirmActive(
  question: Question,
  dependencies: IntrospectionDependencies,
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await ask(question, dependencies).catch((error: unknown) => {
    throw new TokenRefused('unavailable', 'the token issuer cannot be asked at present', error)
  })
  if (answer['active'] === false) throw new TokenRefused('invalid', 'the token has been revoked or is no longer active')
  // An answer about another token, or one that does not say, confirms nothing.
  if (answer['active'] !== true || answer['jti'] !== question.jti) {
    throw new TokenRefused('unavailable', 'the token issuer gave no usable answer')
  }
  return answer
}

async function ask(
  question: Question,
  dependencies: IntrospectionDependencies,
): Promise<Readonly<Record<string, unknown>>> {
  const { issuer, introspection, door, clock } = dependencies
  const askedAt = epochSeconds(clock)
  const form = new URLSearchParams({
    token: question.token.reveal(),
    ...(await clientAssertion(introspection, issuer, clock)),
  })
  const request = { url: `${issuer}/introspect`, form }
  const answer =
    introspection.signedAnswers === true
      ? await signedAnswer(await door({ ...request, accept: SIGNED }), askedAt, dependencies)
      : parseStrictJson(await door(request))
  return isJsonObject(answer) ? answer : {}
}

const SIGNED = `application/${JWT_TYP.introspection}` as const

/** An old yes must not be played back for a token that has died since: the answer is of now. */
async function signedAnswer(
  text: string,
  askedAt: number,
  { issuer, introspection, keys, clock }: IntrospectionDependencies,
): Promise<unknown> {
  const answer = new Secret(text)
  const { header } = decodeJwt(answer)
  const claims = await verifyStatement(answer, {
    keys: await keys.keysFor(header.kid, header.alg),
    algorithms: [STATEMENT_ALG],
    typ: JWT_TYP.introspection,
    issuer,
    audience: introspection.clientId,
    saidFrom: askedAt - CLOCK_SKEW_S,
    saidUntil: epochSeconds(clock) + CLOCK_SKEW_S,
  })
  return claims['token_introspection']
}
