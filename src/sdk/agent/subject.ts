/** Whom a session is opened for, as the parameters of a token request: a user by a token of theirs, or the agent's own workload. */
import { decodeJwt } from '../../jose/decode-jws.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { Secret } from '../../kernel/secret.ts'
import { JWT_TYP, TOKEN_TYPE } from '../../protocol/oauth.ts'

/** A user's token, where its text does not say what it is. */
export interface UserToken {
  readonly token: string
  /** Default: `access_token` where its `typ` is `at+jwt`, or it is no JWT; else `id_token`. */
  readonly type?: 'id_token' | 'access_token'
  /** Slug or identifier of its provider: for opaque tokens, where there is a choice. */
  readonly issuer?: string
}

export function userSubject(given: string | UserToken): Readonly<Record<string, string | undefined>> {
  const { token, type, issuer } =
    typeof given === 'string' ? { token: given, type: undefined, issuer: undefined } : given
  const text = token.trim()
  const kind = type ?? kindOf(new Secret(text))
  const typeUri = kind === 'access_token' ? TOKEN_TYPE.accessToken : TOKEN_TYPE.idToken
  return { subject_token: text, subject_token_type: typeUri, subject_issuer: issuer }
}

export function workloadSubject(token: string): Readonly<Record<string, string>> {
  return { subject_token: token.trim(), subject_token_type: TOKEN_TYPE.jwt }
}

/** RFC 9068 §2.1: an access token says so. One that cannot be read is no ID token. */
function kindOf(token: Secret): NonNullable<UserToken['type']> {
  try {
    return decodeJwt(token).header.typ === JWT_TYP.accessToken ? 'access_token' : 'id_token'
  } catch (error) {
    if (error instanceof JwtError) return 'access_token'
    throw error
  }
}
