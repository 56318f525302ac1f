/** RFC 8693 §2.2.1, RFC 6749 §5.1, RFC 9396 §7: the body of a granted token request. */
import type { DecisionId } from '../kernel/ids.ts'
import type { MintedToken } from '../model/minted.ts'
import { TOKEN_TYPE, type TokenTypeName, type TokenTypeUri } from '../protocol/oauth.ts'
import { formatScope } from '../protocol/scope.ts'

export interface TokenResponse {
  /** Holds whatever was issued, access token or not (RFC 8693 §2.2.1). */
  readonly access_token: string
  readonly issued_token_type: TokenTypeUri
  readonly token_type: TokenTypeName
  readonly expires_in: number
  /** Always present: what was granted, which may be less than what was asked for. */
  readonly scope: string
  readonly authorization_details?: readonly unknown[]
  /** The MCP server that the token is for: where its grant has named it (ID-JAG §4.4.2). */
  readonly resource?: string
  /** Errand's own: the piece of work, as in the token and in every record of it. */
  readonly txn?: string
  /** Errand's own: where to look this decision up. */
  readonly decision_id: DecisionId
}

const ISSUED = {
  access: { type: TOKEN_TYPE.accessToken, name: 'Bearer' },
  session: { type: TOKEN_TYPE.session, name: 'N_A' },
  delegation: { type: TOKEN_TYPE.delegation, name: 'N_A' },
  id_jag: { type: TOKEN_TYPE.idJag, name: 'N_A' },
} as const

export function tokenResponse(
  minted: MintedToken,
  kind: keyof typeof ISSUED,
  id: DecisionId,
  resource?: string,
): TokenResponse {
  const issued = ISSUED[kind]
  const isDpop = kind === 'access' && minted.confirmation?.kind === 'jkt'
  return {
    access_token: minted.token.reveal(),
    issued_token_type: issued.type,
    token_type: isDpop ? 'DPoP' : issued.name,
    expires_in: minted.expiresAt - minted.issuedAt,
    scope: formatScope(minted.scopes),
    ...(minted.details.length > 0 ? { authorization_details: minted.details } : {}),
    ...(resource === undefined ? {} : { resource }),
    ...(minted.txn === undefined ? {} : { txn: minted.txn }),
    decision_id: id,
  }
}
