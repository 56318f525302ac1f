/**
 * What a token says of itself, for the eyes of an operator: header, issuer, audience and times as they stand; of other claims
 * their names only, because people's names and addresses are among them. Decoded, not believed.
 */
import { type DecodedJwt, decodeJwt } from '../../jose/decode-jws.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { CLOCK_SKEW_S } from '../../kernel/limits.ts'
import type { Secret } from '../../kernel/secret.ts'
import { durationWords, printable, time } from '../terminal.ts'
import type { StepName } from './examination.ts'

const SHOWN_CHARS = 160

export type Claims = Readonly<Record<string, unknown>>

/** `undefined`: not a JWT that this broker would read; the broker's own words for it are its refusal's. */
export function peek(token: Secret): DecodedJwt | undefined {
  try {
    return decodeJwt(token)
  } catch (error) {
    if (error instanceof JwtError) return undefined
    throw error
  }
}

/** One line, of bounded length, that cannot move a cursor. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'none')
  const line = printable(text)
  return line.length > SHOWN_CHARS ? `${line.slice(0, SHOWN_CHARS)}…` : line
}

/** Own members only. */
export function said(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

export function textClaim(claims: Claims, name: string): string | undefined {
  const value = said(claims, name)
  return typeof value === 'string' ? value : undefined
}

export function commonFacts({ header, claims }: DecodedJwt, now: number): Readonly<Partial<Record<StepName, string>>> {
  return {
    form: 'a signed JWT in compact form',
    issuer: `iss ${shown(said(claims, 'iss'))}`,
    algorithm: `alg ${shown(header.alg)}`,
    key: header.kid === undefined ? 'no kid: only a sole key can have signed it' : `kid ${shown(header.kid)}`,
    kind: header.typ === undefined ? 'no typ' : `typ ${shown(header.typ)}`,
    audience: `aud ${shown(said(claims, 'aud'))}`,
    times: timesWords(claims, now),
    claims: `has ${Object.keys(claims).map(shown).sort().join(' ')}`,
  }
}

function timesWords(claims: Claims, now: number): string {
  const [iat, nbf, exp] = ['iat', 'nbf', 'exp'].map((name) => said(claims, name))
  const words = [
    typeof iat === 'number' ? `issued ${time(iat)}${iat > now + CLOCK_SKEW_S ? ' (in the future)' : ''}` : 'no iat',
    ...(typeof nbf === 'number' && nbf > now ? [`not before ${time(nbf)}`] : []),
    typeof exp === 'number' ? endWords(exp, now) : 'no exp',
  ]
  return words.join(', ')
}

function endWords(exp: number, now: number): string {
  const left = exp - now
  return left > 0 ? `ends in ${durationWords(left)}` : `ended ${durationWords(-left)} ago`
}
