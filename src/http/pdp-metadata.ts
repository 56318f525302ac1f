/** AuthZEN 1.0 §9: where decisions are to be had. The identifier is the issuer, byte for byte. */
import type { BrokerSettings } from '../model/settings.ts'

/** Paths of the Authorization API (§10.1). */
export const ACCESS = {
  evaluation: '/access/v1/evaluation',
  evaluations: '/access/v1/evaluations',
  subject: '/access/v1/search/subject',
  resource: '/access/v1/search/resource',
  action: '/access/v1/search/action',
  /** Errand's own: how a call ended. */
  outcome: '/access/v1/outcome',
} as const

export function pdpMetadata({ issuer }: Pick<BrokerSettings, 'issuer'>): Readonly<Record<string, string>> {
  return {
    policy_decision_point: issuer,
    access_evaluation_endpoint: issuer + ACCESS.evaluation,
    access_evaluations_endpoint: issuer + ACCESS.evaluations,
    search_subject_endpoint: issuer + ACCESS.subject,
    search_resource_endpoint: issuer + ACCESS.resource,
    search_action_endpoint: issuer + ACCESS.action,
  }
}
