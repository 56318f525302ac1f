/**
 * Verification of a signed statement: an answer to a question, believed for when it was said. It has no `exp`, so that it cannot
 * pass for a token (RFC 9701 §5), and none is looked for.
 *
 * Validates: form; algorithm, key, signature; `typ`; `iss` exactly; `aud`, this audience and no other; that `iat` lies between
 * the question and now.
 * Does not validate: what it says.
 */
import type { Secret } from '../kernel/secret.ts'
import { decodeJwt } from './decode-jws.ts'
import { JwtError } from './jwt-error.ts'
import type { KeySet } from './key-set.ts'
import { verifyJws } from './verify-jws.ts'
import { checkAudience } from './verify-jwt.ts'

export interface StatementRules {
  readonly keys: KeySet
  readonly algorithms: readonly string[]
  /** Normalised: `token-introspection+jwt`. */
  readonly typ: string
  readonly issuer: string
  readonly audience: string
  /** Epoch seconds, both included. */
  readonly saidFrom: number
  readonly saidUntil: number
}

/** Its claims. @throws JwtError */
export async function verifyStatement(
  statement: Secret,
  rules: StatementRules,
): Promise<Readonly<Record<string, unknown>>> {
  const jwt = decodeJwt(statement)
  await verifyJws(jwt, rules)
  const { header, claims } = jwt
  if (header.typ !== rules.typ) throw new JwtError('typ', 'the statement is of another kind (typ)')
  if (claims['iss'] !== rules.issuer) throw new JwtError('issuer', 'iss is not the expected issuer')
  checkAudience(claims, { sole: rules.audience })
  const said = claims['iat']
  // Written as what must hold: what is no number fails it.
  if (!(typeof said === 'number' && said >= rules.saidFrom && said <= rules.saidUntil)) {
    throw new JwtError('not_yet_valid', 'the statement is not of now')
  }
  return claims
}
