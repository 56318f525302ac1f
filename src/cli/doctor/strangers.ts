/** What none of the kinds is: an issuer that nobody has configured, a text that is no JWT. It says what would have been needed. */
import { inSlot } from '../../credentials/jwt-refusals.ts'
import { parseTokenParameter } from '../../credentials/token-parameter.ts'
import type { DecodedJwt } from '../../jose/decode-jws.ts'
import { decodeJwt } from '../../jose/decode-jws.ts'
import { nearestName } from '../../kernel/nearest-name.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Examination } from './examination.ts'
import { commonFacts, said, shown, textClaim } from './facts.ts'
import type { Patient } from './patient.ts'

/** A JWT of an issuer that is no IdP, no platform, no client and no trust domain here: it costs no network request. */
export function unknownIssuer(jwt: DecodedJwt, patient: Patient): Examination {
  const iss = textClaim(jwt.claims, 'iss')
  const { issuers, workloadIssuers } = patient.registry
  const known = [...issuers, ...workloadIssuers].map(({ issuer }) => issuer)
  const near = nearestName(iss ?? '', known)
  return {
    kind: 'a JWT of an unknown issuer',
    role: 'as nobody',
    steps: ['form', 'issuer'],
    found: { ...commonFacts(jwt, patient.now), issuer: `iss ${shown(said(jwt.claims, 'iss'))} is not configured` },
    verify: async () => {
      throw new Rejection('subject_issuer_unknown', 'the issuer of the token is not configured')
    },
    advise: () =>
      [
        `Configured: ${known.map(shown).join(', ') || 'none'}.`,
        ...(near === undefined
          ? []
          : [`Nearest: ${shown(near)}; an issuer is compared character by character, a slash at its end included.`]),
        'If it should be believed, it belongs under issuers (users), workload_issuers (platforms) or trust_domains (SPIFFE).',
      ].join(' '),
  }
}

/** Not a JWT, or one that this broker would not read. */
export function unreadable(patient: Patient): Examination {
  const text = patient.token.reveal()
  const shape = shapeOf(text)
  return {
    kind: shape.kind,
    role: 'as nobody',
    steps: ['form'],
    found: { form: `${text.length} characters` },
    verify: async () => {
      await inSlot('subject_token', () => decodeJwt(parseTokenParameter(text, 'the token')))
      throw new Rejection('token_malformed', 'the token cannot be read')
    },
    advise: () => shape.advice(patient),
  }
}

interface Shape {
  readonly kind: string
  advice(patient: Patient): string
}

const SHAPES: readonly (Shape & { readonly fits: (text: string) => boolean })[] = [
  {
    kind: 'a SAML assertion',
    fits: (text) => /^<|^PD94|^PHNhbWw|^PHNhbWxw/.test(text),
    advice: () => 'SAML is not supported: have the identity provider issue an ID token, or an ID-JAG.',
  },
  {
    kind: 'an Authorization header',
    fits: (text) => /^(?:Authorization: *)?(?:Bearer|DPoP|Basic) /i.test(text),
    advice: () => 'Only the token itself is wanted, without the scheme in front of it.',
  },
  {
    kind: 'an encrypted JWT (JWE)',
    fits: (text) => /^[\w-]+(?:\.[\w-]*){4}$/.test(text),
    advice: () => 'Encrypted tokens are not read: have the provider sign it only.',
  },
  {
    kind: 'a DPoP proof',
    fits: (text) => /"typ" *: *"dpop\+jwt"/.test(Buffer.from(text.split('.', 1)[0] ?? '', 'base64url').toString()),
    advice: () => 'It proves a key for one request, in the header DPoP, and is nobody’s token.',
  },
  {
    kind: 'a JWT that this broker does not read',
    fits: (text) => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text),
    advice: () =>
      'Its header or claims are not strict JSON, its alg is none, symmetric or unknown, or its header brings its own key (jwk, jku, x5c, x5u) or extensions (crit).',
  },
  {
    kind: 'a certificate or key in PEM',
    fits: (text) => text.startsWith('-----BEGIN '),
    advice: () =>
      'Certificates are shown in the TLS handshake, which alone proves their key; errand audit counts why a broker has refused one.',
  },
  {
    kind: 'text in quotes or JSON',
    fits: (text) => /^["'{[]/.test(text),
    advice: () => 'Only the token itself is wanted: take it out of the JSON (jq -r .access_token).',
  },
]

function shapeOf(text: string): Shape {
  return SHAPES.find(({ fits }) => fits(text)) ?? { kind: 'an opaque token', advice: adviseOpaque }
}

/** Which identity providers would be asked about it: never all of them, each could use it. */
function adviseOpaque({ registry, as }: Patient): string {
  const asked = registry.issuers.filter(
    ({ introspection, slug }) =>
      introspection !== undefined && (as?.kind !== 'agent' || as.upstreamClientIds.has(slug)),
  )
  if (asked.length === 0) {
    return 'It says nothing by itself, and no identity provider is configured that could be asked about it (issuers[].introspection, and a client id of the agent there). Nobody was asked.'
  }
  const places = asked.map(({ issuer, slug, introspection }) => {
    return `${slug} at ${shown(introspection?.endpoint ?? `the introspection endpoint that ${issuer} publishes`)}`
  })
  return `It says nothing by itself: as an access token it would be shown to ${places.join(', or to ')}, whichever subject_issuer names. Nobody was asked.`
}
