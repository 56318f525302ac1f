/**
 * What a credential would be for this broker: every way it could be taken is tried with the broker's own verification, and the
 * one that accepts it is told, or else the one that came furthest.
 */
import type { RejectionReason } from '../../kernel/rejection.ts'
import { clientAssertion, jwtSvid, sharedSecret } from './client-credentials.ts'
import { type Examination, type Examined, examine, progress, STEPS, type StepName } from './examination.ts'
import { peek, shown } from './facts.ts'
import { ownToken } from './own-tokens.ts'
import type { Patient } from './patient.ts'
import { unknownIssuer, unreadable } from './strangers.ts'
import { userTokens } from './user-tokens.ts'
import { workloadTokens } from './workload-tokens.ts'

export interface StepReport {
  readonly step: string
  readonly state: 'passed' | 'refused' | 'not reached'
  readonly found: string | undefined
}

/** The `--json` form. */
export interface Diagnosis {
  readonly kind: string
  readonly role: string
  readonly accepted: boolean
  readonly principal: string | undefined
  readonly notes: readonly string[]
  readonly steps: readonly StepReport[]
  readonly refused: {
    readonly step: string
    readonly reason: RejectionReason
    readonly description: string
    readonly missing: readonly string[]
    readonly advice: readonly string[]
  } | null
  /** Other ways that were tried, and how each ended. */
  readonly others: readonly { readonly role: string; readonly kind: string; readonly ended: string }[]
  readonly not_looked_at: readonly string[]
}

const OTHERS_MAX = 8

const NOT_LOOKED_AT = [
  'revocations, cut-offs and blocks, and the state of sessions',
  'whether it was presented before, where it is good for one use',
  'what policy would leave of it',
]

export async function diagnose(patient: Patient): Promise<Diagnosis> {
  const examined: Examined[] = []
  for (const examination of waysOf(patient)) examined.push(await examine(examination))
  // Of two that came as far, the first: the likelier way stands in front.
  const [best, ...others] = examined.toSorted((a, b) => progress(b) - progress(a))
  if (best === undefined) throw new Error('a credential without any way to take it')
  return report(best, others, patient)
}

function waysOf(patient: Patient): readonly Examination[] {
  const shared = sharedSecret(patient)
  if (shared !== undefined) return [shared]
  const jwt = peek(patient.token)
  if (jwt === undefined) return [unreadable(patient)]
  const own = ownToken(jwt, patient)
  if (own !== undefined) return [own]
  const ofClients = [clientAssertion(jwt, patient), jwtSvid(jwt, patient), ...workloadTokens(jwt, patient)]
  const ways = [...ofClients, ...userTokens(jwt, patient)]
  const found = ways.filter((way) => way !== undefined)
  return found.length === 0 ? [unknownIssuer(jwt, patient)] : found
}

function report(best: Examined, others: readonly Examined[], { troubles }: Patient): Diagnosis {
  const { examination, accepted, refused } = best
  const reached = refused === undefined ? examination.steps.length : examination.steps.indexOf(refused.step)
  const steps = examination.steps.map((step, index): StepReport => {
    const state = index < reached ? 'passed' : index === reached ? 'refused' : 'not reached'
    return { step: STEPS[step], state, found: examination.found[step] }
  })
  return {
    kind: examination.kind,
    role: examination.role,
    accepted: accepted !== undefined,
    principal: accepted?.principal,
    notes: accepted?.notes ?? [],
    steps,
    refused:
      refused === undefined
        ? null
        : {
            step: STEPS[refused.step],
            reason: refused.refusal.reason,
            description: refused.refusal.message,
            missing: refused.refusal.missing,
            advice: adviceFor(examination, refused.step, best, troubles),
          },
    others: others.slice(0, OTHERS_MAX).map((other) => ({
      role: other.examination.role,
      kind: other.examination.kind,
      ended: other.refused === undefined ? 'accepted, too' : `refused: ${shown(other.refused.refusal.message)}`,
    })),
    not_looked_at: accepted === undefined ? [] : NOT_LOOKED_AT,
  }
}

function adviceFor(
  examination: Examination,
  step: StepName,
  { refused }: Examined,
  troubles: readonly string[],
): readonly string[] {
  const own = refused === undefined ? undefined : examination.advise(step, refused.refusal)
  const advice = own ?? GENERAL[step]
  return [...(step === 'key' ? troubles : []), ...(advice === undefined ? [] : [advice])]
}

const GENERAL: Readonly<Partial<Record<StepName, string>>> = {
  signature: 'It was changed after it was signed, or signed by another key that goes by the same name.',
  times: 'Get a fresh one. If it is fresh, set the clocks right: half a minute of difference is forgiven, no more.',
  claims: 'What it lacks or has too much of is said above; its issuer decides what it puts in.',
  principal: 'The entry says that it is not active.',
}
