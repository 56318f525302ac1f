/**
 * The proof that comes with a token bound to a key (RFC 9449 §7.1).
 *
 * Checks: exactly one proof, for this method, URL, moment and token (`jose/dpop-proof.ts`), seen for the first time; where the
 * server asks for them, a nonce of its own (§9) and the digest of the body (MCP's DPoP extension).
 */
import { createHash } from 'node:crypto'
import { verifyDpopProof } from '../../jose/dpop-proof.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import { DPOP_PROOF_AGE_S_MAX, DPOP_PROOFS_REMEMBERED_MAX } from '../../kernel/credential-limits.ts'
import { sha256 } from '../../kernel/digest.ts'
import { CLOCK_SKEW_S } from '../../kernel/limits.ts'
import { Secret } from '../../kernel/secret.ts'
import { TokenRefused } from './verified-token.ts'

/** A request whose `Authorization` has the scheme DPoP. */
export interface DpopRequest {
  /** Every value of the header `DPoP`. */
  readonly proofs: readonly string[]
  readonly method: string
  /** Of this endpoint, as clients know it; never made from `Host`. Default: the resource. */
  readonly url?: string
  /** As received; needed where `contentDigest` is asked for. */
  readonly body?: Uint8Array
}

/** What a server asks of proofs beyond RFC 9449 §4.3. */
export interface ProofRules {
  /**
   * `true` for the first who asks with this id, until `expiresAtMs`. Several processes of one server need one that they share;
   * default: this process remembers.
   */
  readonly isFirstUse?: (id: string, expiresAtMs: number) => boolean | Promise<boolean>
  /** Whether a nonce is one of the server's own; the server sends it in `DPoP-Nonce`. Default: none is asked for. */
  readonly isGoodNonce?: (nonce: string) => boolean | Promise<boolean>
  /** Whether proofs must carry `content_digest` of the body. */
  readonly contentDigest?: boolean
}

export interface ProofFacts {
  readonly token: Secret
  /** Of the key that the token is bound to. */
  readonly thumbprint: string
  readonly resource: string
  readonly nowMs: number
}

/** @throws TokenRefused `invalid_token` where another key is proven, `invalid_dpop_proof`, `use_dpop_nonce` */
export async function assertProven(
  request: DpopRequest,
  rules: ProofRules & Required<Pick<ProofRules, 'isFirstUse'>>,
  { token, thumbprint, resource, nowMs }: ProofFacts,
): Promise<void> {
  const [text, ...others] = request.proofs
  if (text === undefined || others.length > 0) throw badProof('exactly one DPoP proof must come with the token')
  const url = request.url ?? resource
  const at = { method: request.method, url, token, now: Math.floor(nowMs / 1000) }
  const proof = await verifyDpopProof(new Secret(text), at).catch((error: unknown) => {
    throw error instanceof JwtError ? badProof('the DPoP proof is not one for this request', error) : error
  })
  if (rules.contentDigest === true && proof.contentDigest !== digestOf(request.body)) {
    throw badProof('the DPoP proof does not name the body of this request')
  }
  if (rules.isGoodNonce !== undefined && !(proof.nonce !== undefined && (await rules.isGoodNonce(proof.nonce)))) {
    throw new TokenRefused('invalid', 'the DPoP proof needs the nonce of this server', undefined, 'use_dpop_nonce')
  }
  // Before it is remembered: whoever holds a stolen token must not fill the memory with proofs by keys of their own.
  if (proof.jkt !== thumbprint)
    throw new TokenRefused('invalid', 'the token is bound to another key than the proof is by')
  const id = sha256(`${url}\n${proof.jkt}\n${proof.jti}`)
  const expiresAtMs = (proof.issuedAt + DPOP_PROOF_AGE_S_MAX + 2 * CLOCK_SKEW_S) * 1000
  if (!(await rules.isFirstUse(id, expiresAtMs))) throw badProof('the DPoP proof was used before')
}

function badProof(description: string, cause?: unknown): TokenRefused {
  return new TokenRefused('invalid', description, cause, 'invalid_dpop_proof')
}

/** RFC 9530 §2. */
function digestOf(body: Uint8Array | undefined): string {
  return `sha-256=:${createHash('sha256')
    .update(body ?? new Uint8Array())
    .digest('base64')}:`
}

/** One process's memory. When it is full of proofs that are still good, nothing more is believed. */
export function rememberedProofs(nowMs: () => number): Required<ProofRules>['isFirstUse'] {
  const seen = new Map<string, number>()
  return (id, expiresAtMs) => {
    if (seen.has(id)) return false
    if (seen.size >= DPOP_PROOFS_REMEMBERED_MAX) {
      for (const [known, endsAtMs] of seen) if (endsAtMs < nowMs()) seen.delete(known)
    }
    if (seen.size >= DPOP_PROOFS_REMEMBERED_MAX) {
      throw new TokenRefused('unavailable', 'too many DPoP proofs are being remembered')
    }
    seen.set(id, expiresAtMs)
    return true
  }
}
