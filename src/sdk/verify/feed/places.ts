/** Where tokens of this server may be cut off, and where calls of its tools. */
import { parseActorChain } from '../../../authority/actor-chain.ts'
import { type Concern, concerning, concerningCall } from '../../../authority/dimensions.ts'
import { clientsOf, userIn } from '../../../authority/named.ts'
import { versionsNamed } from '../../../authority/token-facts.ts'
import { FEED_TOOLS_REMEMBERED_MAX } from '../../../kernel/feed-limits.ts'
import { ACTOR_DEPTH_MAX } from '../../../kernel/limits.ts'
import type { SignedToken } from '../signed-token.ts'
import { TokenRefused } from '../verified-token.ts'

export interface TokenPlaces {
  /** With every token that says the same: one list for all of them. */
  readonly shared: readonly Concern[]
  /** A node of its own. */
  readonly jti: string
  readonly rv: number
}

export class Places {
  readonly #issuer: string
  readonly #resource: string
  readonly #tools = new Map<string, readonly Concern[]>()

  constructor({ issuer, resource }: { readonly issuer: string; readonly resource: string }) {
    this.#issuer = issuer
    this.#resource = resource
  }

  /** @throws TokenRefused for a token that does not say what it hangs from */
  of(signed: SignedToken): TokenPlaces {
    const { claims, jti } = signed.token
    signed.alike.places ??= this.#shared(signed)
    const rv = Object.hasOwn(claims, 'rv') ? claims['rv'] : undefined
    return { shared: signed.alike.places, jti, rv: Number.isSafeInteger(rv) ? (rv as number) : Number.NaN }
  }

  ofTool(tool: string): readonly Concern[] {
    const known = this.#tools.get(tool)
    if (known !== undefined) return known
    const concerns = [concerningCall(this.#resource, tool)]
    if (this.#tools.size >= FEED_TOOLS_REMEMBERED_MAX) this.#tools.clear()
    this.#tools.set(tool, concerns)
    return concerns
  }

  #shared({ token, kid }: SignedToken): readonly Concern[] {
    const { claims } = token
    const act = Object.hasOwn(claims, 'act') ? parseActorChain(claims['act']) : undefined
    const named = { subject: token.subject, clientId: token.clientId, act }
    const path = Object.hasOwn(claims, 'anc') ? claims['anc'] : undefined
    const versions = versionsNamed(token.clientId, claims['agent'])
    const user = userIn(named)
    if (!isPath(path) || versions === undefined || kid === undefined) {
      // One that does not say what it hangs from could not be revoked with it.
      throw new TokenRefused('invalid', 'the token does not say what it hangs from')
    }
    return concerning({
      // Each token has its own.
      rv: Number.NaN,
      session: token.session,
      nodes: path,
      agents: clientsOf(named, this.#issuer),
      versions,
      ...(user === undefined ? {} : { user }),
      subject: token.subject,
      kid,
      accessToken: true,
      audience: this.#resource,
    })
  }
}

/** A node per hop, root first. */
function isPath(value: unknown): value is readonly string[] {
  const isList = Array.isArray(value) && value.length > 0 && value.length <= ACTOR_DEPTH_MAX + 1
  return isList && value.every((node) => typeof node === 'string' && node !== '')
}
