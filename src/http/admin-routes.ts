/** The admin API (`/admin/v1`): every endpoint of it, each behind its permission. */

import { approvalRoutes } from './admin-approval-routes.ts'
import { auditReportRoutes } from './admin-audit-reports.ts'
import { auditRoutes } from './admin-audit-routes.ts'
import { capturedRoutes } from './admin-captured-routes.ts'
import { challengeRoutes } from './admin-challenge-routes.ts'
import { decisionRoutes } from './admin-decision-routes.ts'
import { operatingRoutes } from './admin-operating-routes.ts'
import { policyRoutes } from './admin-policy-routes.ts'
import { reachRoutes } from './admin-reach-route.ts'
import { registryRoutes } from './admin-registry-routes.ts'
import { reviewRoutes } from './admin-review-routes.ts'
import type { AdminRoute } from './admin-route.ts'
import { mounted } from './admin-route.ts'
import type { Route, RouterParts } from './route.ts'

export function adminRoutes(parts: RouterParts, base: string): readonly Route[] {
  return adminEndpoints(parts).map((route) => mounted(route, parts, base))
}

/** Nothing of `parts` is used before a request comes. */
export function adminEndpoints(parts: RouterParts): readonly AdminRoute[] {
  return [
    ...operatingRoutes(parts),
    ...auditRoutes(parts),
    ...auditReportRoutes(parts),
    ...capturedRoutes(parts),
    ...policyRoutes(parts),
    ...reviewRoutes(parts),
    ...decisionRoutes(parts),
    ...challengeRoutes(parts),
    ...approvalRoutes(parts),
    ...registryRoutes(parts),
    ...reachRoutes(parts),
  ]
}
