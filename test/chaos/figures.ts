/** The figures of a history: what revoking and failing over cost those who waited for it. */
import { deathOf } from './checker.ts'
import type { Fault, Granted, History, Refused, Revoked } from './history.ts'

export interface Figures {
  readonly exchanges: number
  readonly refused: number
  /** By reason. */
  readonly refusals: Readonly<Record<string, number>>
  readonly revokes: number
  readonly revokesRefused: number
  readonly verifications: number
  /** From the acknowledgement to the end of the last acceptance, at any verifier, of each target; 0: none after it. */
  readonly killToLastAcceptanceMs: { readonly p50: number; readonly p99: number; readonly most: number }
  readonly faults: readonly FaultFigures[]
}

export interface FaultFigures {
  readonly what: string
  /** Between the fault and the first token that was asked for after it and given, when the first refusal was behind. */
  readonly recoveryMs: number
  readonly refused: number
}

export function figuresOf({ happenings }: History): Figures {
  const granted = happenings.filter((one) => one.kind === 'granted')
  const refused = happenings.filter((one) => one.kind === 'refused')
  const verified = happenings.filter((one) => one.kind === 'verified')
  const revoked = happenings.filter((one) => one.kind === 'revoked')
  const dead = new Map(revoked.map((one) => [one.target, one]))
  const last = new Map<Revoked, number>(revoked.map((one) => [one, 0]))
  for (const verification of verified) {
    const death = deathOf(verification, dead)
    if (verification.verdict !== 'accepted' || death === undefined) continue
    last.set(death, Math.max(last.get(death) ?? 0, verification.at - death.at))
  }
  const delays = [...last.values()].sort((a, b) => a - b)
  const faults = happenings.filter((one): one is Fault => one.kind === 'fault')
  return {
    exchanges: granted.length + refused.length,
    refused: refused.length,
    refusals: Object.fromEntries(
      [...Map.groupBy(refused, ({ reason }) => reason)].map(([reason, all]) => [reason, all.length]),
    ),
    revokes: revoked.length,
    revokesRefused: happenings.filter(({ kind }) => kind === 'revoke_failed').length,
    verifications: verified.length,
    killToLastAcceptanceMs: {
      p50: quantile(delays, 0.5),
      p99: quantile(delays, 0.99),
      most: Math.round(delays.at(-1) ?? 0),
    },
    faults: faults.map((fault, n) => faultFigures(fault, faults[n + 1]?.at ?? Infinity, granted, refused)),
  }
}

function faultFigures(
  fault: Fault,
  untilMs: number,
  granted: readonly Granted[],
  refused: readonly Refused[],
): FaultFigures {
  const during = refused.filter(({ at, reason }) => at > fault.at && at < untilMs && isOutage(reason))
  const lastRefusal = during.reduce((latest, { at }) => Math.max(latest, at), fault.at)
  const recovered = granted.reduce(
    (first, { begunAt, at }) => (begunAt >= lastRefusal && at < first ? at : first),
    Number.POSITIVE_INFINITY,
  )
  return {
    what: fault.what,
    recoveryMs: during.length === 0 ? 0 : Math.round(recovered - fault.at),
    refused: during.length,
  }
}

/** Refused for want of certainty, not for what was asked. */
export function isOutage(reason: string): boolean {
  return ['no_answer', 'store_unavailable', 'cutoffs_stale', 'policy_unavailable', '503', '502'].some((word) =>
    reason.includes(word),
  )
}

function quantile(sorted: readonly number[], share: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0)
}
