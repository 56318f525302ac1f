/** The published policy: what it is, and publishing another; a draft in shadow beside it. */
import { policyOrder, publishPolicy, showPolicy } from '../admin/publication/policy-requests.ts'
import { beginShadow, endShadow, shadowOrder, showShadow } from '../admin/publication/shadow-requests.ts'
import { POLICY_BODY_BYTES_MAX } from '../kernel/policy-limits.ts'
import type { AdminRoute } from './admin-route.ts'
import { decodeLongOrder } from './decode-order.ts'
import { json } from './error-response.ts'
import { takeJson } from './request.ts'
import type { RouterParts } from './route.ts'

export function policyRoutes(parts: RouterParts): readonly AdminRoute[] {
  return [
    {
      path: '/policy',
      methods: {
        GET: { permission: 'read', answer: async (request) => json(200, await showPolicy(request, parts.policy)) },
        POST: {
          permission: 'policy',
          answer: async (request, context) => {
            const order = () => decodeLongOrder(policyOrder, (take) => takeJson(context, POLICY_BODY_BYTES_MAX, take))
            return json(200, await publishPolicy(request, order, parts.policy))
          },
        },
      },
    },
    {
      path: '/policy/shadow',
      methods: {
        GET: { permission: 'read', answer: async (request) => json(200, await showShadow(request, parts.policy)) },
        POST: {
          permission: 'shadow',
          answer: async (request, context) => {
            const order = () => decodeLongOrder(shadowOrder, (take) => takeJson(context, POLICY_BODY_BYTES_MAX, take))
            return json(200, await beginShadow(request, order, parts.policy))
          },
        },
        DELETE: { permission: 'shadow', answer: async (request) => json(200, await endShadow(request, parts.policy)) },
      },
    },
  ]
}
