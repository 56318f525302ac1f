export interface Actor {
  /** Issuer whose namespace `sub` belongs to; not the token's signer. */
  readonly iss: string
  readonly sub: string
  readonly sub_profile?: string
  /** The actor before this one (RFC 8693 §4.1): newest outermost. */
  readonly act?: Actor
}
