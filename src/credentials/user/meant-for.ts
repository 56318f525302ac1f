/**
 * Whether foreign evidence was meant for this agent (DESIGN §3): a user's token for another application must not become
 * authority here, whoever has got hold of it (audience mix-up, ZITADEL GHSA-g5h5-m4hm-xjrr, Logto #8772).
 *
 * Validates: `aud` names the agent at its issuer, or names this broker while `azp`, `client_id` or `may_act` names the agent;
 * no audience beside it that the issuer's entry does not list; `may_act`, where present, names the agent.
 * Does not validate: the token. Its claims are already verified.
 */
import { isJsonObject } from '../../jose/strict-json.ts'
import type { VerifiedJwt } from '../../jose/verify-jwt.ts'
import { agentPrincipal } from '../../kernel/ids.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Agent } from '../../model/client.ts'
import type { Issuer } from '../../model/issuer.ts'
import { type Claims, claim, issuedTo } from '../claim.ts'

export interface Recipient {
  readonly agent: Agent
  readonly issuer: Issuer
  /** Our own issuer identifier. */
  readonly broker: string
}

/** @throws Rejection `subject_token_audience` | `subject_token_presenter` | `may_act_mismatch` */
export function checkMeantFor(jwt: Pick<VerifiedJwt, 'claims' | 'audience'>, recipient: Recipient): void {
  const { agent, issuer, broker } = recipient
  const upstream = agent.upstreamClientIds.get(issuer.slug)
  // Before the rest: where the user's side has named who may act, nothing else may overrule it.
  const isNamed = checkNamedActor(jwt.claims, recipient)

  if (upstream !== undefined && jwt.audience.includes(upstream)) {
    checkOtherAudiences(jwt.audience, upstream, issuer)
    const azp = claim(jwt.claims, 'azp')
    // OpenID Connect Core §3.1.3.7: with several audiences, azp says for which of them it was issued.
    if (jwt.audience.length > 1 && azp !== undefined && azp !== upstream) throw issuedToAnother()
    return
  }
  const ours = issuer.brokerAudience ?? broker
  if (!jwt.audience.includes(ours)) {
    throw new Rejection('subject_token_audience', 'the subject token was not issued for this agent', {
      missing: [
        upstream === undefined
          ? `the agent's record lists no client id at issuer "${issuer.slug}"`
          : `aud must name the agent's client id at issuer "${issuer.slug}", or this broker`,
      ],
    })
  }
  checkOtherAudiences(jwt.audience, ours, issuer)
  if (!isNamed) checkIssuedTo(jwt.claims, upstream)
}

/** One token, one meaning: each further audience could use it against the agent, or the agent against it. */
function checkOtherAudiences(audience: readonly string[], ours: string, issuer: Issuer): void {
  if (!audience.every((member) => member === ours || issuer.otherAudiences.includes(member))) {
    throw new Rejection(
      'subject_token_audience',
      'the subject token names audiences that its issuer entry does not allow',
    )
  }
}

/** At least one claim says so, and none contradicts. */
function checkIssuedTo(claims: Claims, upstream: string | undefined): void {
  const named = issuedTo(claims)
  if (named.length === 0 || !named.every((value) => value === upstream)) throw issuedToAnother()
}

function issuedToAnother(): Rejection {
  return new Rejection('subject_token_presenter', 'the subject token was issued to another party than this agent')
}

/** Whether `may_act` names the agent; `false`: there is none. @throws Rejection `may_act_mismatch` where it names another */
export function checkNamedActor(claims: Claims, recipient: Recipient): boolean {
  const mayAct = claim(claims, 'may_act')
  if (mayAct === undefined) return false
  checkMayAct(mayAct, recipient, recipient.agent.upstreamClientIds.get(recipient.issuer.slug))
  return true
}

/**
 * RFC 8693 §4.4. The agent is named in our namespace (`agent:<client_id>`) or by its client id at the token's issuer.
 * Members that are not understood could restrict further: they refuse.
 */
function checkMayAct(mayAct: unknown, { agent, issuer, broker }: Recipient, upstream: string | undefined): void {
  const isUnderstood =
    isJsonObject(mayAct) && Object.keys(mayAct).every((name) => ['iss', 'sub', 'sub_profile'].includes(name))
  if (!isUnderstood) throw mayActMismatch('may_act must be an object of sub, and optionally iss and sub_profile')
  const [sub, iss] = [claim(mayAct, 'sub'), claim(mayAct, 'iss')]
  const isHere = sub === agentPrincipal(agent.clientId) && (iss === undefined || iss === broker)
  const isThere = upstream !== undefined && sub === upstream && (iss === undefined || iss === issuer.issuer)
  if (!isHere && !isThere) throw mayActMismatch('may_act of the subject token names another actor')
  const profile = claim(mayAct, 'sub_profile')
  if (profile !== undefined && profile !== 'ai_agent') throw mayActMismatch('may_act names an actor of another kind')
}

function mayActMismatch(description: string): Rejection {
  return new Rejection('may_act_mismatch', description)
}
