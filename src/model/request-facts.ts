/** What the transport knows of a request, read once. */
import type { Secret } from '../kernel/secret.ts'

export interface RequestFacts {
  /** The socket's peer; what strangers' refusals are counted by. */
  readonly source: string
  /** Scheme of the `Authorization` header, lower case; `undefined`: none was sent. */
  readonly authorizationScheme: string | undefined
  /** What follows the scheme `Basic`, unread; `undefined`: another scheme, or none. */
  readonly basicCredentials?: Secret | undefined
  /** The caller's correlation id, if it is well-formed. */
  readonly correlation: string | undefined
}
