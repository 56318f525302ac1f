/**
 * Verification of a JWT: every rule is mandatory, so that leaving one out is a type error and not a hole.
 *
 * Validates, in this order: form (`decode-jws.ts`); algorithm, key, signature (`verify-jws.ts`); `typ` (RFC 8725 §3.11);
 * `iss` exactly, unless such tokens need none; `aud`; `exp`, `nbf`, `iat` and lifetime; presence of required claims; form of
 * `sub` and `jti`.
 * Does not validate: replay of `jti`, revocation, `azp`, `act`, `cnf`, whether the subject may do anything; and with
 * `decidedByCaller`, whether the audience is acceptable, only that there is one.
 */
import { sha256 } from '../kernel/digest.ts'
import { AUDIENCES_MAX, NAME_CHARS_MAX } from '../kernel/limits.ts'
import type { Secret } from '../kernel/secret.ts'
import { type DecodedJwt, decodeJwt, type JwsHeader } from './decode-jws.ts'
import type { PublicKey } from './jwk.ts'
import { JwtError } from './jwt-error.ts'
import { isNameWithin } from './name.ts'
import type { SeenSignatures } from './seen-signatures.ts'
import { type SignatureRules, verifyJws, verifyJwsHere } from './verify-jws.ts'

/** `sole`: this audience and no other. `contains`: this one among others. `decidedByCaller`: look at `audience` yourself. */
export type AudienceRule =
  | { readonly sole: string }
  | { readonly contains: string }
  | { readonly decidedByCaller: true }

export interface JwtRules extends SignatureRules {
  /** Accepted values, normalised (`at+jwt`); `undefined` among them accepts a token without `typ`. */
  readonly typ: readonly (string | undefined)[]
  /** `unstated`: such tokens need not say who made them, and what they say of it is not believed: their keys do. */
  readonly issuer: string | { readonly unstated: true }
  readonly audience: AudienceRule
  readonly requiredClaims: readonly string[]
  /** Where subjects may be longer than other names. */
  readonly subjectCharsMax?: number
  /** Epoch seconds. */
  readonly now: number
  readonly skewSeconds: number
  /** `undefined`: the issuer's own lifetimes are accepted. */
  readonly lifetimeSecondsMax: number | undefined
  /** For tokens that are presented again and again: a signature that has verified is not computed a second time. */
  readonly seen?: SeenSignatures | undefined
}

declare const verified: unique symbol

/** Only `verifyJwt` makes one: to hold it is proof that every rule passed. */
export interface VerifiedJwt {
  readonly [verified]: true
  readonly header: JwsHeader
  readonly claims: Readonly<Record<string, unknown>>
  readonly issuer: string | undefined
  readonly subject: string | undefined
  /** At least one. */
  readonly audience: readonly string[]
  readonly issuedAt: number | undefined
  readonly expiresAt: number
  readonly jti: string | undefined
  readonly kid: string | undefined
  /** Fingerprint of the whole token. */
  readonly digest: string
  /** Fingerprint of what was signed: the same for every signature over it (`par_hash`). */
  readonly signingInputHash: string
}

type Claims = Readonly<Record<string, unknown>>

/** @throws JwtError */
export async function verifyJwt(token: Secret, rules: JwtRules): Promise<VerifiedJwt> {
  checkRules(rules)
  const jwt = decodeJwt(token)
  await verifyJws(jwt, rules, rules.seen === undefined ? undefined : { token, seen: rules.seen })
  return checkClaims(token, jwt, rules)
}

/** The same on this thread (`signature.ts`), and the key that the signature is by. @throws JwtError */
export function verifyJwtHere(token: Secret, rules: Omit<JwtRules, 'seen'>): { jwt: VerifiedJwt; key: PublicKey } {
  checkRules(rules)
  const jwt = decodeJwt(token)
  const key = verifyJwsHere(jwt, rules)
  return { jwt: checkClaims(token, jwt, rules), key }
}

/** Of a token whose signature is good. */
function checkClaims(token: Secret, jwt: DecodedJwt, rules: JwtRules): VerifiedJwt {
  const { header, claims } = jwt
  if (!rules.typ.includes(header.typ)) throw new JwtError('typ', 'the token is of another kind (typ)')
  if (typeof rules.issuer === 'string' && own(claims, 'iss') !== rules.issuer)
    throw new JwtError('issuer', 'iss is not the expected issuer')
  const audience = checkAudience(claims, rules.audience)
  const times = checkTimes(claims, rules)
  for (const name of rules.requiredClaims) {
    const value = own(claims, name)
    if (value === undefined || value === null || value === '') throw new JwtError('claims', `${name} is required`)
  }
  return new Verified(token, jwt, {
    issuer: typeof rules.issuer === 'string' ? rules.issuer : undefined,
    subject: optionalName(claims, 'sub', rules.subjectCharsMax),
    audience,
    ...times,
    jti: optionalName(claims, 'jti'),
  }) as unknown as VerifiedJwt
}

type Checked = Pick<VerifiedJwt, 'issuer' | 'subject' | 'audience' | 'issuedAt' | 'expiresAt' | 'jti'>

/** A class: accessors of an object of its own would cost each token what the rest of these checks does. */
class Verified {
  readonly header: JwsHeader
  readonly claims: Claims
  readonly issuer: string | undefined
  readonly subject: string | undefined
  readonly audience: readonly string[]
  readonly issuedAt: number | undefined
  readonly expiresAt: number
  readonly jti: string | undefined
  readonly kid: string | undefined
  readonly #token: Secret
  readonly #signingInput: string

  constructor(token: Secret, { header, claims, signingInput }: DecodedJwt, checked: Checked) {
    this.header = header
    this.claims = claims
    this.issuer = checked.issuer
    this.subject = checked.subject
    this.audience = checked.audience
    this.issuedAt = checked.issuedAt
    this.expiresAt = checked.expiresAt
    this.jti = checked.jti
    this.kid = header.kid
    this.#token = token
    this.#signingInput = signingInput
  }

  // Computed for those who ask: a client's assertion needs neither.
  get digest(): string {
    return this.#token.fingerprint()
  }

  get signingInputHash(): string {
    return sha256(this.#signingInput)
  }
}

/** A rule that is not a number, or empty, is a fault of ours; comparing with NaN would let everything pass. */
function checkRules(rules: JwtRules): void {
  const { now, skewSeconds, lifetimeSecondsMax, issuer, audience } = rules
  const numbers = [now, skewSeconds, lifetimeSecondsMax ?? 0]
  if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 0)) {
    throw new TypeError('times of JwtRules must be whole seconds')
  }
  const wanted = 'sole' in audience ? audience.sole : 'contains' in audience ? audience.contains : undefined
  if (wanted === undefined ? !('decidedByCaller' in audience) : wanted === '') {
    throw new TypeError('JwtRules must state an audience')
  }
  if (typeof issuer === 'string' ? issuer === '' : !issuer.unstated)
    throw new TypeError('JwtRules must state an issuer')
}

/** The audiences of `aud`. @throws JwtError `audience` */
export function checkAudience(claims: Claims, rule: AudienceRule): readonly string[] {
  const aud = own(claims, 'aud')
  const audience: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (audience.length === 0 || audience.length > AUDIENCES_MAX || !audience.every(isNonEmptyString)) {
    throw new JwtError('audience', `aud must be a string or a list of 1 to ${AUDIENCES_MAX} strings`)
  }
  if (new Set(audience).size !== audience.length) throw new JwtError('audience', 'aud must not repeat a value')
  if ('sole' in rule && (audience.length !== 1 || audience[0] !== rule.sole)) {
    throw new JwtError('audience', 'aud must be this audience and no other')
  }
  if ('contains' in rule && !audience.includes(rule.contains)) {
    throw new JwtError('audience', 'aud does not name this audience')
  }
  return audience
}

export type TimeRules = Pick<JwtRules, 'now' | 'skewSeconds' | 'lifetimeSecondsMax'>

/**
 * Each comparison is written as what must hold: anything that cannot be compared fails it.
 * @throws JwtError `claims` | `expired` | `not_yet_valid` | `lifetime`
 */
export function checkTimes(claims: Claims, rules: TimeRules): { issuedAt: number | undefined; expiresAt: number } {
  const { now, skewSeconds, lifetimeSecondsMax } = rules
  const expiresAt = numericDate(claims, 'exp')
  if (expiresAt === undefined) throw new JwtError('claims', 'exp is required')
  if (!(expiresAt > now - skewSeconds)) throw new JwtError('expired', 'the token has expired')
  const notBefore = numericDate(claims, 'nbf')
  if (notBefore !== undefined && !(notBefore <= now + skewSeconds)) {
    throw new JwtError('not_yet_valid', 'nbf is in the future')
  }
  const issuedAt = numericDate(claims, 'iat')
  if (issuedAt !== undefined && !(issuedAt <= now + skewSeconds)) {
    throw new JwtError('not_yet_valid', 'iat is in the future')
  }
  if (issuedAt !== undefined && !(issuedAt < expiresAt)) throw new JwtError('lifetime', 'exp must be after iat')
  if (lifetimeSecondsMax !== undefined) {
    const fromNow = expiresAt - now <= lifetimeSecondsMax + skewSeconds
    const fromIssue = issuedAt === undefined || expiresAt - issuedAt <= lifetimeSecondsMax
    if (!fromNow || !fromIssue) throw new JwtError('lifetime', `the token must not live over ${lifetimeSecondsMax} s`)
  }
  return { issuedAt, expiresAt }
}

/** RFC 7519 §2, narrowed to whole seconds: strings, fractions and negative times are refused. */
function numericDate(claims: Claims, name: string): number | undefined {
  const value = own(claims, name)
  if (value === undefined) return undefined
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new JwtError('claims', `${name} must be a whole number of seconds`)
  }
  return value as number
}

function optionalName(claims: Claims, name: string, charsMax: number = NAME_CHARS_MAX): string | undefined {
  const value = own(claims, name)
  if (value === undefined) return undefined
  if (!isNameWithin(value, charsMax))
    throw new JwtError('claims', `${name} must be a string of 1 to ${charsMax} characters`)
  return value
}

/** Own members only: a claim named `constructor` is absent unless the token carries it. */
function own(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

function isNonEmptyString(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
