/** The single mint: builds claims, signs with the active key of the kind's class, and re-reads what it made. */
import { authorityScopes } from '../authority/narrowing.ts'
import { signJwt } from '../jose/sign-jwt.ts'
import { type Jti, newJti } from '../kernel/ids.ts'
import { Secret } from '../kernel/secret.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { Confirmation } from '../model/confirmation.ts'
import type { MintedToken } from '../model/minted.ts'
import type { SigningAlg } from '../model/resource.ts'
import { adminAudience, apiAudience, type BrokerSettings } from '../model/settings.ts'
import { JWT_TYP } from '../protocol/oauth.ts'
import { formatScope } from '../protocol/scope.ts'
import { checkMinted, type Expected } from './check-minted.ts'
import {
  type ApiOrder,
  apiClaims,
  buildsBehind,
  type Claims,
  detailsOf,
  type Fixed,
  type IdJagTarget,
  idJagClaims,
  type ManagementOrder,
  type MintOrder,
  managementClaims,
  sessionClaims,
} from './claims.ts'

export class Minter {
  readonly #ring: KeyRing
  readonly #settings: BrokerSettings

  readonly #signed: ((typ: string) => void) | undefined

  /** @param signed told of each token, before anybody has it */
  constructor(ring: KeyRing, settings: BrokerSettings, signed?: (typ: string) => void) {
    this.#signed = signed
    this.#ring = ring
    this.#settings = settings
  }

  /** RFC 9068, for exactly one resource, in the algorithm that resource asks for. */
  access(order: MintOrder, alg: SigningAlg): Promise<MintedToken> {
    return this.#mintInSession(order, { cls: 'access', alg, typ: JWT_TYP.accessToken, jti: newJti() })
  }

  session(order: MintOrder): Promise<MintedToken> {
    return this.#mintInSession(order, { cls: 'internal', alg: 'ES256', typ: JWT_TYP.session, jti: newJti() })
  }

  /** Its `jti` is the id of the node it becomes when accepted. */
  delegation(order: MintOrder, jti: Jti): Promise<MintedToken> {
    return this.#mintInSession(order, { cls: 'internal', alg: 'ES256', typ: JWT_TYP.delegation, jti })
  }

  /**
   * For another authorization server, which finds the key in `/jwks`: the class of access tokens, told apart from them by
   * `typ` (RFC 8725 §3.12).
   */
  async idJag(order: MintOrder, target: IdJagTarget, alg: SigningAlg): Promise<MintedToken> {
    const jti = newJti()
    const payload = { typ: JWT_TYP.idJag, claims: idJagClaims(this.#fixed(jti), order, target), now: order.now }
    const token = await this.#sign('access', alg, payload, decidedIdJagClaims(order, target, this.#fixed(jti)))
    return {
      token,
      jti,
      issuedAt: order.now,
      expiresAt: order.expiresAt,
      scopes: authorityScopes(order.authority),
      confirmation: order.confirmation,
      details: detailsOf(order.authority),
      txn: order.holder.session.txn,
    }
  }

  async api(order: ApiOrder): Promise<MintedToken> {
    const jti = newJti()
    const claims = apiClaims(this.#fixed(jti), order)
    const expected = decidedApiClaims(order, this.#fixed(jti))
    const token = await this.#sign('access', 'ES256', { typ: JWT_TYP.accessToken, claims, now: order.now }, expected)
    return {
      token,
      jti,
      issuedAt: order.now,
      expiresAt: order.expiresAt,
      scopes: order.scopes,
      confirmation: order.confirmation,
      details: [],
    }
  }

  async management(order: ManagementOrder): Promise<MintedToken> {
    const { operator, roles, signIn, confirmation, now, expiresAt } = order
    const jti = newJti()
    const claims = managementClaims(this.#fixed(jti), order)
    const { issuer, environment } = this.#settings
    const expected = {
      iss: issuer,
      sub: operator,
      aud: adminAudience(issuer),
      roles,
      env: environment,
      auth_time: signIn?.at,
      evidence: signIn?.digest,
      cnf: decidedCnf(confirmation),
      iat: now,
      exp: expiresAt,
      jti,
    }
    const token = await this.#sign('internal', 'ES256', { typ: JWT_TYP.management, claims, now }, expected)
    return { token, jti, issuedAt: now, expiresAt, scopes: [], confirmation, details: [] }
  }

  async #mintInSession(
    order: MintOrder,
    kind: { cls: 'access' | 'internal'; alg: SigningAlg; typ: string; jti: Jti },
  ): Promise<MintedToken> {
    const claims = sessionClaims(this.#fixed(kind.jti), order)
    const expected = decidedClaims(order, this.#fixed(kind.jti))
    const token = await this.#sign(
      kind.cls,
      kind.alg,
      { typ: kind.typ, claims, now: order.now },
      expected,
      order.authority,
    )
    return {
      token,
      jti: kind.jti,
      issuedAt: order.now,
      expiresAt: order.expiresAt,
      scopes: authorityScopes(order.authority),
      confirmation: order.confirmation,
      details: claims.authorization_details,
      txn: order.holder.session.txn,
    }
  }

  async #sign(
    cls: 'access' | 'internal',
    alg: SigningAlg,
    payload: { typ: string; claims: Claims; now: number },
    claims: Expected['claims'],
    authority?: MintOrder['authority'],
  ): Promise<Secret> {
    const key = this.#ring.active(cls, alg, payload.now)
    const token = new Secret(await signJwt(key, payload.typ, payload.claims))
    this.#signed?.(payload.typ)
    checkMinted(token, { typ: payload.typ, kid: key.kid, claims, authority })
    return token
  }

  #fixed(jti: Jti): Fixed {
    return { issuer: this.#settings.issuer, environment: this.#settings.environment, jti }
  }
}

/** What a token of a session must say of who, for whom, until when and on what grounds, read from the order alone. */
function decidedClaims(order: MintOrder, fixed: Fixed): Expected['claims'] {
  const { session, node, path } = order.holder
  return {
    iss: fixed.issuer,
    sub: session.subject.principal,
    sub_profile: session.subject.profile,
    aud: order.audience,
    client_id: node.holder,
    sid: session.id,
    txn: session.txn,
    iat: order.now,
    exp: order.expiresAt,
    jti: fixed.jti,
    rv: order.rv,
    act: node.act,
    anc: path,
    par_hash: order.parentHash,
    cnf: decidedCnf(order.confirmation),
    env: fixed.environment,
    auth_time: session.evidence?.authTime,
    acr: session.evidence?.acr,
    amr: session.evidence?.amr,
    agent: { version: order.agentVersion, instance: order.instance, via: decidedVia(order) },
    origin: { type: node.origin.type, ref: node.origin.ref, asserted_by: node.origin.assertedBy },
    intent: node.intentHash,
  }
}

function decidedIdJagClaims(order: MintOrder, target: IdJagTarget, fixed: Fixed): Expected['claims'] {
  const { session, node } = order.holder
  return {
    iss: fixed.issuer,
    sub: session.subject.principal,
    aud: order.audience,
    client_id: target.clientId,
    resource: target.resource,
    scope: formatScope(authorityScopes(order.authority)),
    authorization_details: target.carriesDetails ? detailsOf(order.authority) : undefined,
    txn: session.txn,
    iat: order.now,
    exp: order.expiresAt,
    jti: fixed.jti,
    act: node.act,
    cnf: decidedCnf(order.confirmation),
    auth_time: session.evidence?.authTime,
    acr: session.evidence?.acr,
    amr: session.evidence?.amr,
  }
}

function decidedApiClaims(order: ApiOrder, fixed: Fixed): Expected['claims'] {
  return {
    iss: fixed.issuer,
    sub: order.subject,
    sub_profile: order.profile,
    aud: apiAudience(fixed.issuer),
    client_id: order.clientId,
    agent: order.agentVersion === undefined ? undefined : { version: order.agentVersion },
    scope: formatScope(order.scopes),
    iat: order.now,
    exp: order.expiresAt,
    jti: fixed.jti,
    rv: order.rv,
    env: fixed.environment,
    cnf: decidedCnf(order.confirmation),
  }
}

function decidedVia({ holder, agentVersion }: MintOrder): readonly string[] | undefined {
  const via = buildsBehind(holder, agentVersion)
  return via.length === 0 ? undefined : via
}

function decidedCnf(key: Confirmation | undefined): unknown {
  return key === undefined ? undefined : { [key.kind]: key.thumbprint }
}
