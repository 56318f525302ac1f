/** A configuration made of ports and directories instead of a file: for `errand serve --development`, the demo, and tests. */
import { CALL_OUTCOME_S_DEFAULT } from '../kernel/call-limits.ts'
import {
  ACCESS_TOKEN_LIFETIME_S_DEFAULT,
  ACTOR_DEPTH_MAX,
  APPROVAL_PENDING_S_DEFAULT,
  APPROVAL_S_DEFAULT,
  DELEGATION_ACCEPT_WINDOW_S_DEFAULT,
  PER_CLIENT_DEFAULT,
  PER_ISSUER_DEFAULT,
  PER_SOURCE_AND_CLIENT_DEFAULT,
  PER_SOURCE_DEFAULT,
  REFUSAL_DELAY_MS_DEFAULT,
  SESSION_LIFETIME_S_DEFAULT,
} from '../kernel/limits.ts'
import { KEEP_DAYS_DEFAULT } from '../kernel/log-limits.ts'
import {
  DRIFT_CONTRACT_AFTER_DEFAULT,
  DRIFT_HALT_AFTER_DEFAULT,
  DRIFT_WINDOW_S_DEFAULT,
  ORPHAN_GRACE_DAYS_DEFAULT,
} from '../kernel/policy-limits.ts'
import { NOTHING_CAPTURED } from '../model/captured.ts'
import { DEVELOPMENT_ENVIRONMENT } from '../model/settings.ts'
import { retentionOf } from './audit-schema.ts'
import type { Config, LogLevel, StoreConfig } from './config.ts'

export interface DevelopmentChoices {
  readonly port: number
  readonly store: StoreConfig
  readonly keysDirectory: string
  readonly registryPaths?: readonly string[]
  readonly logLevel?: LogLevel
}

/** Always on loopback, always named `development`. */
export function developmentConfig(choices: DevelopmentChoices): Config {
  return Object.freeze({
    settings: Object.freeze({
      issuer: `http://127.0.0.1:${choices.port}`,
      environment: DEVELOPMENT_ENVIRONMENT,
      accessTokenSeconds: ACCESS_TOKEN_LIFETIME_S_DEFAULT,
      sessionSeconds: SESSION_LIFETIME_S_DEFAULT,
      delegationAcceptSeconds: DELEGATION_ACCEPT_WINDOW_S_DEFAULT,
      strictlyNarrower: true,
      maxChainDepth: ACTOR_DEPTH_MAX,
      clientSecretBasic: false,
      apiKeys: false,
      suspendOverdue: false,
      orphanGraceSeconds: ORPHAN_GRACE_DAYS_DEFAULT * 86_400,
      callOutcomeSeconds: CALL_OUTCOME_S_DEFAULT,
      approvalSeconds: APPROVAL_S_DEFAULT,
      approvalPendingSeconds: APPROVAL_PENDING_S_DEFAULT,
      drift: Object.freeze({
        contractAfter: DRIFT_CONTRACT_AFTER_DEFAULT,
        haltAfter: DRIFT_HALT_AFTER_DEFAULT,
        windowSeconds: DRIFT_WINDOW_S_DEFAULT,
      }),
      capture: NOTHING_CAPTURED,
      requireCorrelation: false,
      publicLog: false,
    }),
    listen: Object.freeze({ host: '127.0.0.1', port: choices.port }),
    witnesses: Object.freeze([]),
    org: 'default',
    store: Object.freeze(choices.store),
    keys: Object.freeze({ directory: choices.keysDirectory }),
    registryPaths: Object.freeze([...(choices.registryPaths ?? [])]),
    limits: Object.freeze({
      perSource: PER_SOURCE_DEFAULT,
      perSourceAndClient: PER_SOURCE_AND_CLIENT_DEFAULT,
      perClient: PER_CLIENT_DEFAULT,
      perIssuer: PER_ISSUER_DEFAULT,
      refusalDelayMs: REFUSAL_DELAY_MS_DEFAULT,
    }),
    admins: Object.freeze([]),
    retention: retentionOf({ keep_days: KEEP_DAYS_DEFAULT, keep_records: undefined }),
    auditExport: Object.freeze([]),
    log: Object.freeze({ level: choices.logLevel ?? 'info' }),
    secondPerson: false,
    dpop: Object.freeze({ nonce: 'off' as const }),
    trustedProxies: Object.freeze([]),
    outbound: Object.freeze({ allowLoopback: true, internalHosts: new Set<string>() }),
    development: true,
  })
}
