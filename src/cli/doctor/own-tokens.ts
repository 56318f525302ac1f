/** This broker's own tokens coming back, examined by the functions that read them: which agent may use it where. */

import { verifyManagementToken } from '../../credentials/management-token.ts'
import { verifyAccessToken, verifyHandle, verifyOwnHandle } from '../../credentials/own-token.ts'
import type { DecodedJwt } from '../../jose/decode-jws.ts'
import { apiAudience } from '../../model/settings.ts'
import { JWT_TYP } from '../../protocol/oauth.ts'
import { type Accepted, type Examination, JWT_STEPS, type StepName } from './examination.ts'
import { commonFacts, said, shown, textClaim } from './facts.ts'
import type { Patient } from './patient.ts'

const STEPS: readonly StepName[] = ['form', 'issuer', ...JWT_STEPS, 'recipient', 'principal']

interface OwnKind {
  readonly kind: string
  readonly role: string
  verify(patient: Patient): Promise<Accepted>
}

const KINDS: ReadonlyMap<string | undefined, OwnKind> = new Map([
  [
    JWT_TYP.session,
    { kind: 'session token', role: 'as its agent’s own subject', verify: (patient) => handle('session', patient) },
  ],
  [
    JWT_TYP.delegation,
    {
      kind: 'delegation token',
      role: 'as what a sub-agent accepts',
      verify: (patient) => handle('delegation', patient),
    },
  ],
  [JWT_TYP.accessToken, { kind: 'access token', role: 'at the server it is for', verify: access }],
  [JWT_TYP.management, { kind: 'management token', role: 'at /admin/v1', verify: management }],
] satisfies (readonly [string, OwnKind])[])

export function ownToken(jwt: DecodedJwt, patient: Patient): Examination | undefined {
  if (textClaim(jwt.claims, 'iss') !== patient.settings.issuer) return undefined
  const own = KINDS.get(jwt.header.typ)
  return {
    kind: own === undefined ? 'a token that names this broker as its issuer' : `${own.kind} of this broker`,
    role: own?.role ?? 'as no kind of token that it makes',
    steps: STEPS,
    found: {
      ...commonFacts(jwt, patient.now),
      issuer: 'iss is this broker',
      recipient: `client_id ${shown(said(jwt.claims, 'client_id'))}, aud ${shown(said(jwt.claims, 'aud'))}`,
    },
    verify: () => (own === undefined ? handle('session', patient) : own.verify(patient)),
    advise: (step) => {
      if (step === 'key')
        return 'None of the keys in keys.directory signed it: it is of another broker or environment, or older than its key.'
      if (step === 'kind') return `typ is ${shown(jwt.header.typ)}; this broker’s are ${[...KINDS.keys()].join(', ')}.`
      if (step === 'times')
        return 'Its own tokens get no tolerance: continue the session for another, or open a new one.'
      if (step === 'recipient')
        return 'It is bound to the party it was made for: only that client, with its own credential, may present it.'
      return undefined
    },
  }
}

async function depsOf({ ring, settings, seen, now }: Patient) {
  return { ring: await ring(), issuer: settings.issuer, seen, now }
}

async function handle(kind: 'session' | 'delegation', patient: Patient): Promise<Accepted> {
  const { token, as } = patient
  const deps = await depsOf(patient)
  const evidence =
    as === undefined
      ? await verifyOwnHandle(token, kind, deps)
      : await verifyHandle(token, kind, { ...deps, client: as })
  const holder =
    kind === 'session' ? `agent ${evidence.clientId} may continue with it` : `offered by ${evidence.clientId}`
  return { principal: evidence.subject, notes: [holder, `session ${evidence.session}`] }
}

async function access(patient: Patient): Promise<Accepted> {
  const token = await verifyAccessToken(patient.token, await depsOf(patient))
  const isApi = token.audience === apiAudience(patient.settings.issuer)
  return {
    principal: token.subject,
    notes: [
      `held by ${token.clientId}, for ${isApi ? 'the broker’s own API' : token.audience}: ${token.scope || 'no scope'}`,
      ...(token.session === undefined ? [] : [`session ${token.session}`]),
      ...(token.confirmation === undefined ? [] : ['bound to a key: it is worth nothing without a proof of it']),
      'never a subject for agents: servers receive it, and none may trade it',
    ],
  }
}

async function management(patient: Patient): Promise<Accepted> {
  const { environment } = patient.settings
  const { operator } = await verifyManagementToken(patient.token, { ...(await depsOf(patient)), environment })
  return { principal: operator, notes: ['at the admin API alone'] }
}
