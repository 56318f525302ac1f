/** Authorization servers of others, which take our ID-JAGs for MCP servers of theirs. Decoded and checked by `registry/`. */
import type { SigningAlg } from './resource.ts'

export interface AuthorizationServer {
  /** Its issuer identifier: `audience` of the request and sole `aud` of the assertion, byte for byte. */
  readonly issuer: string
  /** What entries of its MCP servers name it by. */
  readonly slug: string
  /** Our agents' client ids there; who is not listed gets no assertion for it. */
  readonly clientIds: ReadonlyMap<string, string>
  readonly idJagLifetimeSeconds: number
  readonly signingAlg: SigningAlg
}
