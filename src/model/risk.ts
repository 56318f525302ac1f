/** How risky an identity provider says a sign-in is; what it does not say is unknown, and unknown is no level. */

export const RISK_LEVELS = ['low', 'medium', 'high'] as const
export type RiskLevel = (typeof RISK_LEVELS)[number]

/** `atMost` is for allows, `atLeast` for denies: either way what is not known does not help. */
export type RiskCondition = { readonly atMost: RiskLevel } | { readonly atLeast: RiskLevel }

/** Where an issuer's tokens say it: the claim, and what each of its values means. Another value means nothing. */
export interface RiskClaim {
  /** The names that lead to it, outermost first. */
  readonly path: readonly string[]
  readonly levels: ReadonlyMap<string, RiskLevel>
}

/** `undefined`: cannot be told. */
export function riskFits(condition: RiskCondition, risk: RiskLevel | undefined): boolean | undefined {
  if (risk === undefined) return undefined
  const at = RISK_LEVELS.indexOf(risk)
  return 'atMost' in condition
    ? at <= RISK_LEVELS.indexOf(condition.atMost)
    : at >= RISK_LEVELS.indexOf(condition.atLeast)
}
