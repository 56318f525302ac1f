/**
 * What platforms give to workloads, examined by the broker's own client authentication; and which rule of which client it
 * fulfils, or comes nearest to.
 */
import { claimAt } from '../../jose/claim-at.ts'
import type { DecodedJwt } from '../../jose/decode-jws.ts'
import type { Client } from '../../model/client.ts'
import type { ClaimRule, WorkloadBinding, WorkloadIssuer } from '../../model/workload.ts'
import { CLIENT_ASSERTION_TYPE_JWT } from '../../protocol/oauth.ts'
import { authenticate } from './client-credentials.ts'
import { type Examination, JWT_STEPS, type StepName } from './examination.ts'
import { type Claims, commonFacts, said, shown, textClaim } from './facts.ts'
import type { Patient } from './patient.ts'

const STEPS: readonly StepName[] = ['form', 'issuer', ...JWT_STEPS, 'client', 'principal']

const ASKED_BESIDES = ', whose API server a broker asks about it besides (token_review); this command does not'

/** As what an agent authenticates with (or works for itself with), and as a grant that is both. */
export function workloadTokens(jwt: DecodedJwt, patient: Patient): readonly Examination[] {
  const platform = patient.registry.workloadIssuer(textClaim(jwt.claims, 'iss') ?? '')
  if (platform === undefined) return []
  const { token } = patient
  const nearest = nearestRule(platform, jwt.claims, patient)
  const common = {
    kind: `workload token of platform ${platform.slug} (${platform.platform})`,
    steps: STEPS,
    found: {
      ...commonFacts(jwt, patient.now),
      issuer: `iss is platform ${platform.slug}${platform.tokenReview === undefined ? '' : ASKED_BESIDES}`,
      algorithm: `alg ${shown(jwt.header.alg)}, its entry allows ${platform.algorithms.join(' ')}`,
      client: nearest === undefined ? `no client has a rule for ${platform.slug}` : ruleWords(nearest),
    },
    advise: (step: StepName) => advise(step, jwt, { platform, nearest }, patient),
  }
  return [
    {
      ...common,
      role: 'as client_assertion (and so as the subject of its agent)',
      verify: () => authenticate({ assertion: token, assertionType: CLIENT_ASSERTION_TYPE_JWT }, patient),
    },
    { ...common, role: 'as assertion of jwt-bearer', verify: () => authenticate({ grant: token }, patient) },
  ]
}

interface Judged {
  readonly client: Client
  readonly binding: WorkloadBinding
  readonly unfulfilled: readonly (ClaimRule & { readonly found: unknown })[]
}

/** The rule that fewest claims are missing to; of two, the one that more are fulfilled of. */
function nearestRule(platform: WorkloadIssuer, claims: Claims, { registry, as }: Patient): Judged | undefined {
  const clients = as === undefined ? [...registry.agents, ...registry.services] : [as]
  const judged = clients.flatMap((client) =>
    client.workloads
      .filter(({ issuer }) => issuer === platform.slug)
      .map((binding): Judged => ({ client, binding, unfulfilled: unfulfilled(binding, claims) })),
  )
  const fulfilled = ({ binding, unfulfilled: open }: Judged) => binding.rules.length - open.length
  return judged.toSorted((a, b) => a.unfulfilled.length - b.unfulfilled.length || fulfilled(b) - fulfilled(a))[0]
}

function unfulfilled({ rules }: WorkloadBinding, claims: Claims): Judged['unfulfilled'] {
  return rules.flatMap((rule) => {
    const found = claimAt(claims, rule.path)
    return found === rule.value ? [] : [{ ...rule, found }]
  })
}

function ruleWords({ client, binding, unfulfilled: open }: Judged): string {
  const whose = `rule of ${client.kind} ${client.clientId}, version ${binding.version}`
  if (open.length === 0) return `${whose}: all ${binding.rules.length} claims fulfilled`
  return `nearest is the ${whose}: ${binding.rules.length - open.length} of ${binding.rules.length} claims fulfilled`
}

interface About {
  readonly platform: WorkloadIssuer
  readonly nearest: Judged | undefined
}

function advise(
  step: StepName,
  { claims, header }: DecodedJwt,
  { platform, nearest }: About,
  { settings }: Patient,
): string | undefined {
  switch (step) {
    case 'algorithm':
      return `Add ${shown(header.alg)} to algorithms of ${platform.slug} only if that platform really signs so.`
    case 'key':
      return `The keys are read as the entry of ${platform.slug} says (${platform.jwksUri ?? `the discovery document of ${platform.issuer}`}).`
    case 'audience': {
      const audiences = [settings.issuer, ...platform.audiences].map(shown).join(' or ')
      return `aud is ${shown(said(claims, 'aud'))}; ask the platform for a token with the audience ${audiences}, and no other.`
    }
    case 'client':
      return nearest === undefined || nearest.unfulfilled.length === 0
        ? `Give one client, and one version of it, a rule: workloads: [{ issuer: ${platform.slug}, match: { … }, version: "1" }].`
        : `Of the rule of ${nearest.client.kind} ${nearest.client.clientId}: ${nearest.unfulfilled.map(missWords).join('; ')}.`
    case 'claims':
      return `Every token of ${platform.slug} has ${['iss', 'sub', 'aud', 'exp', 'iat', ...platform.requiredClaims].join(' ')}, and neither act, may_act nor cnf; a grant has jti, too.`
    default:
      return undefined
  }
}

function missWords({ path, value, found }: Judged['unfulfilled'][number]): string {
  const name = path.map(shown).join('.')
  return `${name} is ${found === undefined ? 'absent' : shown(found)}, the rule says ${shown(value)}`
}
