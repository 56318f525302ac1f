/** Where an SDK wants to make the token request itself: what it needs of a session, or of an agent, at one resource. */
import type { ScopeSet } from '../../protocol/scope.ts'
import type { AccessToken } from './token-cache.ts'
import type { Granted, TokenEndpoint } from './token-endpoint.ts'

export interface TokenSeam {
  /** As the broker spells it. */
  readonly resource: string
  readonly endpoint: TokenEndpoint
  /** Grant and subject. @throws SessionEnded */
  subject(): Readonly<Record<string, string>>
  /** Of the first token; `undefined`: all that was declared. */
  scopes(): ScopeSet | undefined
  current(): Promise<AccessToken>
  reject(token: AccessToken): void
  /** What the SDK got. */
  adopt(granted: Granted): void
}
