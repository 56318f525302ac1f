/**
 * One way to take a credential: the broker's own function that verifies it, and the steps that function takes, in its order. What
 * is told of a step comes from the function's answer: the ones before a refusal have passed, the one that refused is named by
 * its reason, and of the ones behind it nothing is known.
 */
import { JwtError, type JwtErrorCode } from '../../jose/jwt-error.ts'
import { Rejection, type RejectionReason } from '../../kernel/rejection.ts'

export const STEPS = {
  form: 'form',
  issuer: 'issuer',
  client: 'client',
  accepted: 'accepted kind',
  algorithm: 'algorithm',
  key: 'key',
  signature: 'signature',
  kind: 'typ',
  audience: 'audience',
  times: 'times',
  claims: 'claims',
  recipient: 'meant for',
  target: 'resource',
  principal: 'who it is',
  authority: 'scope, act',
  possession: 'its key',
} as const
export type StepName = keyof typeof STEPS

/** What the verifier of any JWT looks at, in its order. */
export const JWT_STEPS: readonly StepName[] = ['algorithm', 'key', 'signature', 'kind', 'audience', 'times', 'claims']

export interface Accepted {
  readonly principal: string
  readonly notes: readonly string[]
}

export interface Examination {
  /** `ID token of issuer corp`. */
  readonly kind: string
  /** `as the subject of agent orchestrator`. */
  readonly role: string
  readonly steps: readonly StepName[]
  /** What the credential says where a step looks; not believed. */
  readonly found: Readonly<Partial<Record<StepName, string>>>
  /** @throws Rejection, as the broker would */
  verify(): Promise<Accepted>
  /** What a person can do about a refusal at this step; `undefined`: what is said of any credential. */
  advise(step: StepName, refusal: Rejection): string | undefined
}

export interface Refused {
  readonly step: StepName
  readonly refusal: Rejection
}

export interface Examined {
  readonly examination: Examination
  readonly accepted: Accepted | undefined
  readonly refused: Refused | undefined
}

export async function examine(examination: Examination): Promise<Examined> {
  try {
    return { examination, accepted: await examination.verify(), refused: undefined }
  } catch (error) {
    if (!(error instanceof Rejection)) throw error
    // The sessions API tells strangers nothing; its cause does.
    const refusal = error.reason === 'bearer_invalid' && error.cause instanceof Rejection ? error.cause : error
    return { examination, accepted: undefined, refused: { step: stepOf(refusal, examination.steps), refusal } }
  }
}

/** How far it came; what is accepted came furthest. */
export function progress({ examination, refused }: Examined): number {
  return refused === undefined ? examination.steps.length : examination.steps.indexOf(refused.step)
}

const BY_CODE: Readonly<Record<JwtErrorCode, StepName>> = {
  malformed: 'form',
  too_large: 'form',
  algorithm: 'algorithm',
  key: 'key',
  signature: 'signature',
  typ: 'kind',
  issuer: 'issuer',
  audience: 'audience',
  expired: 'times',
  not_yet_valid: 'times',
  lifetime: 'times',
  claims: 'claims',
}

const BY_REASON: ReadonlyMap<RejectionReason, StepName> = new Map<RejectionReason, StepName>([
  ['token_malformed', 'form'],
  ['assertion_malformed', 'form'],
  ['client_assertion_malformed', 'form'],
  ['client_secret_malformed', 'form'],
  ['api_key_malformed', 'form'],
  ['subject_issuer_unknown', 'issuer'],
  ['client_unknown', 'client'],
  ['client_ambiguous', 'client'],
  ['workload_unmatched', 'client'],
  ['workload_ambiguous', 'client'],
  ['subject_token_type_unsupported', 'accepted'],
  ['subject_scope_undeclared', 'accepted'],
  ['client_authentication_unsupported', 'accepted'],
  ['subject_issuer_unavailable', 'key'],
  ['client_keys_unavailable', 'key'],
  ['client_metadata_refused', 'key'],
  ['api_key_wrong', 'key'],
  ['client_secret_wrong', 'key'],
  ['api_key_expired', 'times'],
  ['client_secret_expired', 'times'],
  ['subject_token_audience', 'recipient'],
  ['subject_token_presenter', 'recipient'],
  ['may_act_mismatch', 'recipient'],
  ['assertion_client', 'recipient'],
  ['assertion_target', 'target'],
  ['foreign_actor_not_accepted', 'authority'],
  ['user_not_listed', 'principal'],
  ['user_inactive', 'principal'],
  ['agent_inactive', 'principal'],
  ['service_inactive', 'principal'],
])

/** Claims that a step of their own looks at, as the verification's words have them. */
const ABOUT: readonly (readonly [RegExp, StepName])[] = [
  [/\b(?:exp|nbf|iat)\b/, 'times'],
  [/\bscope\b/, 'authority'],
  [/\bcnf\b/, 'possession'],
]

function stepOf(refusal: Rejection, steps: readonly StepName[]): StepName {
  const { cause, reason, message } = refusal
  const code = cause instanceof JwtError ? cause.code : undefined
  const about = code === 'claims' ? ABOUT.find(([words]) => words.test(message))?.[1] : undefined
  const candidates = [about, code && BY_CODE[code], BY_REASON.get(reason), 'claims' as const]
  return candidates.find((step) => step !== undefined && steps.includes(step)) ?? steps.at(-1) ?? 'form'
}
