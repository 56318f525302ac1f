/** What clients authenticate with, examined by the broker's own client authentication: assertions, JWT-SVIDs, API keys, secrets. */
import { prepareAuthentication } from '../../credentials/client/client-authentication.ts'
import { assertClientActive, type PresentedClient } from '../../credentials/client/presented-client.ts'
import type { DecodedJwt } from '../../jose/decode-jws.ts'
import { CLIENT_ASSERTION_LIFETIME_S_MAX } from '../../kernel/credential-limits.ts'
import { agentPrincipal, servicePrincipal } from '../../kernel/ids.ts'
import { nearestName } from '../../kernel/nearest-name.ts'
import { Secret } from '../../kernel/secret.ts'
import type { Client } from '../../model/client.ts'
import {
  API_KEY_PREFIX,
  CLIENT_ASSERTION_TYPE_JWT,
  CLIENT_ASSERTION_TYPE_JWT_SVID,
  ENDPOINT,
  JWT_TYP,
} from '../../protocol/oauth.ts'
import { programName } from '../invocation.ts'
import { type Accepted, type Examination, JWT_STEPS, type StepName } from './examination.ts'
import { commonFacts, shown, textClaim } from './facts.ts'
import type { Patient } from './patient.ts'

const ASSERTION_STEPS: readonly StepName[] = ['form', 'client', ...JWT_STEPS, 'principal']

/** A JWT that a client has made of itself: `iss` is a client, or it says so by `typ`, or `iss` and `sub` are one. */
export function clientAssertion(jwt: DecodedJwt, patient: Patient): Examination | undefined {
  const [iss, sub] = [textClaim(jwt.claims, 'iss'), textClaim(jwt.claims, 'sub')]
  if (patient.registry.workloadIssuer(iss ?? '') !== undefined) return undefined
  const client = patient.registry.client(iss ?? '')
  const isOne =
    client !== undefined || jwt.header.typ === JWT_TYP.clientAuthentication || (iss !== undefined && iss === sub)
  if (!isOne || iss === patient.settings.issuer) return undefined
  return {
    kind: 'client assertion (private_key_jwt)',
    role: `as client authentication of ${shown(iss)}`,
    steps: ASSERTION_STEPS,
    found: {
      ...commonFacts(jwt, patient.now),
      client: client === undefined ? `iss ${shown(iss)} is no client here` : `iss is ${client.kind} ${client.clientId}`,
    },
    verify: () => authenticate({ assertion: patient.token, assertionType: CLIENT_ASSERTION_TYPE_JWT }, patient),
    advise: (step) => adviseAssertion(step, { iss, client, aud: shown(jwt.claims['aud']) }, patient),
  }
}

/** A SPIFFE workload's JWT-SVID: its `sub` is a SPIFFE ID. */
export function jwtSvid(jwt: DecodedJwt, patient: Patient): Examination | undefined {
  const sub = textClaim(jwt.claims, 'sub')
  if (sub === undefined || !sub.startsWith('spiffe://')) return undefined
  const bound = patient.registry.clientBySpiffeId(sub)
  return {
    kind: 'JWT-SVID',
    role: `as client authentication of ${shown(sub)}`,
    steps: ASSERTION_STEPS,
    found: {
      ...commonFacts(jwt, patient.now),
      client:
        bound === undefined
          ? `sub ${shown(sub)} is nobody's SPIFFE ID here`
          : `sub is a SPIFFE ID of ${bound.client.kind} ${bound.client.clientId}`,
    },
    verify: () => authenticate({ assertion: patient.token, assertionType: CLIENT_ASSERTION_TYPE_JWT_SVID }, patient),
    advise: (step) => adviseSvid(step, sub, patient),
  }
}

/** `undefined`: it does not begin like one of ours. */
export function sharedSecret(patient: Patient): Examination | undefined {
  const text = patient.token.reveal()
  const isApiKey = text.startsWith(API_KEY_PREFIX)
  if (!isApiKey && !text.startsWith('errand_secret_')) return undefined
  const owner = patient.as ?? ownerOf(patient)
  const name = isApiKey ? 'API key' : 'client secret'
  const basic = new Secret(Buffer.from(`${owner?.clientId}:${text}`).toString('base64'))
  return {
    kind: name,
    role: owner === undefined ? 'of nobody here' : `as client authentication of ${owner.clientId}`,
    steps: ['accepted', 'form', 'client', 'key', 'times', 'principal'],
    found: {
      accepted: `${isApiKey ? 'api_keys' : 'client_secret_basic'}: ${isApiKey ? patient.settings.apiKeys : patient.settings.clientSecretBasic}`,
      client: owner === undefined ? 'no client has its digest' : `${owner.kind} ${owner.clientId}`,
    },
    verify: () => authenticate(isApiKey ? { apiKey: patient.token } : { basic }, patient, owner?.clientId ?? 'nobody'),
    advise: (step) => adviseSecret(step, isApiKey),
  }
}

/** By the one method that is given, at the token endpoint. */
export async function authenticate(
  given: Partial<PresentedClient>,
  patient: Patient,
  clientId: string | undefined = patient.as?.clientId,
): Promise<Accepted> {
  const { settings, registry, clientKeys, keys, bundles, issuances, seen, now } = patient
  const presented = {
    clientId,
    assertion: undefined,
    assertionType: undefined,
    basic: undefined,
    otherMethods: [],
    ...given,
  }
  const deps = { ...settings, registry, clientKeys, keys, bundles, issuances, seen, now, endpoint: ENDPOINT.token }
  const verified = await (await prepareAuthentication(presented, deps))()
  const { client, version, authentication, confinement } = verified
  assertClientActive(verified, settings.environment)
  const principal = client.kind === 'agent' ? agentPrincipal(client.clientId) : servicePrincipal(client.clientId)
  return {
    principal,
    notes: [
      `version ${version}, by ${authentication.method} with ${shown(authentication.credential)}`,
      ...(authentication.legacy_audience ? ['its audience is forgiven by legacy_assertion_audience'] : []),
      ...(authentication.reusable_assertion === undefined ? [] : ['it may be presented again until it ends']),
      ...(confinement === undefined
        ? []
        : [
            `for ${confinement.scopes.join(' ')} at ${[...confinement.resources].join(' ')} alone, by client_credentials`,
          ]),
    ],
  }
}

function ownerOf({ token, registry }: Patient): Client | undefined {
  const digest = Buffer.from(token.fingerprint(), 'base64url')
  const has = (client: Client) =>
    [...client.secrets, ...(client.kind === 'agent' ? client.apiKeys : [])].some((one) => one.digest.equals(digest))
  return [...registry.agents, ...registry.services].find(has)
}

interface Claimed {
  readonly iss: string | undefined
  readonly client: Client | undefined
  readonly aud: string
}

function adviseAssertion(
  step: StepName,
  { iss, client, aud }: Claimed,
  { registry, settings }: Patient,
): string | undefined {
  switch (step) {
    case 'client': {
      const near = nearestName(
        iss ?? '',
        [...registry.agents, ...registry.services].map((one) => one.clientId),
      )
      const hint = near === undefined ? '' : ` Did you mean ${near}?`
      return `No client is registered as ${shown(iss)}.${hint} ${programName()} agent add registers one.`
    }
    case 'key':
    case 'signature':
      return `It must be signed with a key of ${client?.clientId}: ${keysOf(client)}.`
    case 'kind':
      return 'typ must be absent, JWT or client-authentication+jwt.'
    case 'audience':
      return `aud is ${aud}; it must be ${settings.issuer} and nothing else. An SDK that can only name an endpoint needs legacy_assertion_audience: true in the entry of ${client?.clientId}.`
    case 'times':
      return `Sign a fresh one for each request, good for at most ${CLIENT_ASSERTION_LIFETIME_S_MAX} s, on a machine whose clock is right.`
    case 'claims':
      return 'iss and sub must both be the client id, and jti must be there (so must iat, where assertion_reuse is set).'
    default:
      return undefined
  }
}

function keysOf(client: Client | undefined): string {
  const kids = client?.keys.map(({ kid }) => shown(kid ?? 'without a kid')) ?? []
  const places = client?.keySets.map(({ jwksUri }) => shown(jwksUri)) ?? []
  const known = [...kids.map((kid) => `kid ${kid}`), ...places.map((place) => `those published at ${place}`)]
  return known.length === 0 ? 'it has none, so no assertion of it is ever taken' : known.join(', ')
}

function adviseSvid(step: StepName, sub: string, { registry, settings }: Patient): string | undefined {
  if (step === 'client') {
    const ids = [...registry.agents, ...registry.services].flatMap(({ spiffeIds }) => spiffeIds.map(({ id }) => id))
    const near = nearestName(sub, ids)
    const hint = near === undefined ? '' : ` The nearest registered is ${near}.`
    const domain = registry.trustDomains.find(({ name }) => sub.startsWith(`spiffe://${name}/`))
    const lacks = domain === undefined ? ' Its trust domain is not under trust_domains, either.' : ''
    return `No client has it among its spiffe_ids, where it is written letter for letter.${hint}${lacks}`
  }
  if (step === 'audience') return `Ask the Workload API for an SVID with the sole audience ${settings.issuer}.`
  if (step === 'times') return 'Fetch a new SVID: it may live an hour at most.'
  if (step !== 'key' && step !== 'signature') return undefined
  const domains = registry.trustDomains.map(({ name }) => name).join(', ')
  return `It must be signed by a JWT authority in the bundle of its own trust domain; configured: ${domains || 'none'}.`
}

function adviseSecret(step: StepName, isApiKey: boolean): string | undefined {
  const setting = isApiKey ? 'api_keys' : 'client_secret_basic'
  const command = `${programName()} ${isApiKey ? 'apikey' : 'secret'}`
  switch (step) {
    case 'accepted':
      return `client_authentication.${setting} is off in errand.yaml: no broker takes it.`
    case 'form':
      return 'A character is missing or wrong: its checksum does not fit. Copy it again.'
    case 'client':
    case 'key':
      return `It belongs to no client, or not to this one: it was never registered here, or has been rotated away (${command} rotate).`
    case 'times':
      return `${command} rotate makes its successor.`
    default:
      return undefined
  }
}
