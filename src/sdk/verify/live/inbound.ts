/** The token that a server was called with: verified, and with its text, which goes to the broker and nowhere else. */
import { Secret } from '../../../kernel/secret.ts'
import { verifiedOf } from '../auth-info.ts'
import type { VerifiedToken } from '../verified-token.ts'

/** What a drop-in hands to a tool's handler (`extra.authInfo`); or, where there is none, what `verify` gave and was given. */
export type Inbound =
  | { readonly token: string; readonly extra?: object | undefined }
  | { readonly token: VerifiedToken; readonly bearer: Secret | string }

export interface ReadInbound {
  readonly verified: VerifiedToken
  readonly bearer: Secret
}

/** @throws TypeError for an `AuthInfo` that no drop-in of this process has made: nobody has verified its token */
export function readInbound(inbound: Inbound): ReadInbound {
  if (typeof inbound.token !== 'string' && 'bearer' in inbound) {
    const { token, bearer } = inbound
    return { verified: token, bearer: typeof bearer === 'string' ? new Secret(bearer) : bearer }
  }
  const verified = 'extra' in inbound ? verifiedOf(inbound) : undefined
  if (verified === undefined || typeof inbound.token !== 'string') {
    throw new TypeError('this is no token that was verified here')
  }
  return { verified, bearer: new Secret(inbound.token) }
}
