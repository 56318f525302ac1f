/** What identity providers issue, examined by the broker's own verification of users: for an agent, for the broker, as an ID-JAG. */
import { verifyIdJag } from '../../credentials/user/id-jag.ts'
import { verifyUserBearer } from '../../credentials/user/user-bearer.ts'
import { type UserTokenKind, verifyUserEvidence } from '../../credentials/user/user-evidence.ts'
import type { DecodedJwt } from '../../jose/decode-jws.ts'
import type { Agent } from '../../model/client.ts'
import type { Issuer } from '../../model/issuer.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
import { type Examination, JWT_STEPS, type StepName } from './examination.ts'
import { commonFacts, said, shown, textClaim } from './facts.ts'
import type { Patient } from './patient.ts'

/** For each agent the signature is computed once and remembered; beyond so many, `--as` says for whom. */
const AGENTS_MAX = 100

const BOUND =
  'it is bound to a key: whoever presents it must bring the proof (DPoP, or the certificate), which was not looked at'

const USER_STEPS: readonly StepName[] = [
  'form',
  'issuer',
  'accepted',
  ...JWT_STEPS,
  'recipient',
  'principal',
  'authority',
  'possession',
]

/** Every way a token of this issuer could be taken; none where the issuer is not configured for users. */
export function userTokens(jwt: DecodedJwt, patient: Patient): readonly Examination[] {
  const issuer = patient.registry.issuer(textClaim(jwt.claims, 'iss') ?? '')
  if (issuer === undefined) return []
  const agents = candidates(issuer, jwt, patient)
  if (jwt.header.typ === JWT_TYP.idJag) return agents.map((agent) => idJag(jwt, issuer, agent, patient))
  const kinds: readonly UserTokenKind[] =
    jwt.header.typ === JWT_TYP.accessToken ? ['access_token'] : ['id_token', 'access_token']
  return [
    ...agents.flatMap((agent) => kinds.map((kind) => subjectToken(jwt, kind, { issuer, agent }, patient))),
    ...(issuer.userAudience === undefined || patient.as !== undefined ? [] : [userBearer(jwt, issuer, patient)]),
  ]
}

/** The agent of `--as`; else whom the token names; else, to say what each would have needed, all with a client id at the issuer. */
function candidates(issuer: Issuer, { claims }: DecodedJwt, { registry, as }: Patient): readonly Agent[] {
  if (as !== undefined) return as.kind === 'agent' ? [as] : []
  const isNamed = (agent: Agent) => {
    const upstream = agent.upstreamClientIds.get(issuer.slug)
    const names = [said(claims, 'aud'), said(claims, 'azp'), said(claims, 'client_id')].flat()
    return names.includes(agent.clientId) || (upstream !== undefined && names.includes(upstream))
  }
  const named = registry.agents.filter(isNamed)
  const there = named.length > 0 ? named : registry.agents.filter((agent) => agent.upstreamClientIds.has(issuer.slug))
  return there.slice(0, AGENTS_MAX)
}

interface Parties {
  readonly issuer: Issuer
  readonly agent: Agent
}

function subjectToken(jwt: DecodedJwt, kind: UserTokenKind, { issuer, agent }: Parties, patient: Patient): Examination {
  const { token, settings } = patient
  return {
    kind: `${kind === 'id_token' ? 'ID token' : 'access token'} of issuer ${issuer.slug}`,
    role: `as the subject of agent ${agent.clientId}`,
    steps: USER_STEPS,
    found: { ...factsOf(jwt, issuer, patient), recipient: recipientWords(jwt, { issuer, agent }, settings.issuer) },
    verify: async () => {
      const evidence = await verifyUserEvidence(token, kind, agent, { ...patient, issuer: settings.issuer })
      const { ceiling } = evidence
      return {
        principal: evidence.principal,
        notes: [
          `agent ${agent.clientId} may open sessions with it`,
          ceiling.kind === 'scopes'
            ? `no more than ${ceiling.scopes.join(' ')}`
            : 'its scope says nothing of authority',
          ...(evidence.confirmation === undefined ? [] : [BOUND]),
          ...(evidence.authTime === undefined && issuer.givesAuthTime
            ? ['it has no auth_time, which this issuer’s entry expects: it counts as older than any revocation']
            : []),
        ],
      }
    },
    advise: (step) => adviseUser(step, jwt, { issuer, agent }, patient),
  }
}

function idJag(jwt: DecodedJwt, issuer: Issuer, agent: Agent, patient: Patient): Examination {
  const { token, settings } = patient
  return {
    kind: `ID-JAG of issuer ${issuer.slug}`,
    role: `as the grant of agent ${agent.clientId} (jwt-bearer)`,
    steps: [...USER_STEPS.slice(0, -3), 'target', ...USER_STEPS.slice(-3)],
    found: {
      ...factsOf(jwt, issuer, patient),
      accepted: `accepts.id_jag: ${issuer.idJagScope ?? 'not set'}`,
      recipient: `client_id ${shown(said(jwt.claims, 'client_id'))}`,
      target: `resource ${shown(said(jwt.claims, 'resource'))}`,
    },
    verify: async () => {
      const { evidence } = await verifyIdJag(token, agent, { ...patient, issuer: settings.issuer })
      return { principal: evidence.principal, notes: [`agent ${agent.clientId} may present it, once`] }
    },
    advise: (step) => {
      if (step === 'accepted') return `Set accepts.id_jag for issuer ${issuer.slug} to take its ID-JAGs.`
      if (step === 'audience' || step === 'recipient') {
        return `aud must be ${settings.issuer} alone, and client_id the agent that presents it (${agent.clientId}).`
      }
      if (step === 'target')
        return 'resource must name MCP servers that are registered here, scope only what opens tools there.'
      return adviseUser(step, jwt, { issuer, agent }, patient)
    },
  }
}

function userBearer(jwt: DecodedJwt, issuer: Issuer, patient: Patient): Examination {
  return {
    kind: `user token of issuer ${issuer.slug}`,
    role: 'as a user at the broker’s own /sessions',
    steps: USER_STEPS,
    found: { ...factsOf(jwt, issuer, patient), recipient: `user_audience ${shown(issuer.userAudience)}` },
    verify: async () => {
      const bearer = await verifyUserBearer(patient.token, patient, 'sessions')
      return {
        principal: bearer.principal,
        notes: ['they may see and end what runs on their behalf, and nothing else'],
      }
    },
    advise: (step) =>
      step === 'audience' ? `aud must be ${issuer.userAudience} and nothing else.` : adviseIssuer(step, jwt, issuer),
  }
}

function factsOf(jwt: DecodedJwt, issuer: Issuer, { now }: Patient) {
  const { acceptsIdTokens, accessTokenScope } = issuer
  return {
    ...commonFacts(jwt, now),
    issuer: `iss is issuer ${issuer.slug}`,
    accepted: `accepts ID tokens: ${acceptsIdTokens}, access tokens: ${accessTokenScope ?? 'false'}`,
    algorithm: `alg ${shown(jwt.header.alg)}, its entry allows ${issuer.algorithms?.join(' ') ?? 'what it publishes'}`,
    principal: `users: ${issuer.users}`,
    possession: said(jwt.claims, 'cnf') === undefined ? 'a bearer token' : 'bound to a key (cnf)',
    authority: `scope ${shown(said(jwt.claims, 'scope'))}${said(jwt.claims, 'act') === undefined ? '' : ', and an act'}`,
  }
}

function recipientWords({ claims }: DecodedJwt, { issuer, agent }: Parties, broker: string): string {
  const upstream = agent.upstreamClientIds.get(issuer.slug)
  const parties = ['azp', 'client_id', 'may_act']
    .filter((name) => said(claims, name) !== undefined)
    .map((name) => (name === 'may_act' ? 'may_act' : `${name} ${shown(said(claims, name))}`))
  const expects = upstream === undefined ? `no client id of ${agent.clientId} there` : `${upstream}, or ${broker}`
  return [`aud ${shown(said(claims, 'aud'))}`, ...parties, `expected ${expects}`].join(', ')
}

function adviseUser(
  step: StepName,
  jwt: DecodedJwt,
  { issuer, agent }: Parties,
  { settings }: Patient,
): string | undefined {
  if (step !== 'recipient') return adviseIssuer(step, jwt, issuer)
  const upstream = agent.upstreamClientIds.get(issuer.slug)
  const aud = shown(said(jwt.claims, 'aud'))
  if (upstream === undefined) {
    return `aud is ${aud}, and agent ${agent.clientId} has no client id at this issuer: set upstream: { ${issuer.slug}: <its client id there> } in its entry.`
  }
  return `aud is ${aud}; agent ${agent.clientId} takes tokens for ${upstream} (its upstream client id), or for ${settings.issuer} with azp or client_id ${upstream}. Have the provider issue one for it; only where the token’s client is this agent, set upstream.${issuer.slug}; list harmless further audiences in other_audiences.`
}

function adviseIssuer(step: StepName, { header, claims }: DecodedJwt, issuer: Issuer): string | undefined {
  switch (step) {
    case 'accepted':
      return `The entry of issuer ${issuer.slug} does not take this kind: set accepts.id_token: true, or accepts.access_token: ceiling or identity_only.`
    case 'algorithm':
      return `Add ${shown(header.alg)} to algorithms of issuer ${issuer.slug} only if that issuer really signs so.`
    case 'key':
      return `The keys are read from ${issuer.jwksUri ?? `the discovery document of ${issuer.issuer}`}; the token’s must be among them. A key of another environment, or one that was withdrawn, is not.`
    case 'kind':
      return 'An ID token has no typ, or JWT, and no scope; an access token says at+jwt (RFC 9068).'
    case 'principal': {
      const sub = shown(said(claims, 'sub'))
      return `List the user: users: [{ issuer: ${issuer.slug}, sub: ${sub} }], active; or set users: from_issuer for all whom the issuer vouches for.`
    }
    case 'authority':
      return `What its scope means is set by accepts.access_token of issuer ${issuer.slug} (ceiling: it must have one); an act of others’ is taken only with accepts_foreign_actors: true.`
    default:
      return undefined
  }
}
