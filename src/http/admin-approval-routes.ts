/** Calls that wait for a person: for those who may approve, since what is listed has the arguments of somebody's call. */
import { approvalOrder, decideApproval } from '../admin/approvals/decide-approval.ts'
import { listApprovals, readApproval } from '../admin/approvals/read-approvals.ts'
import type { AdminRoute } from './admin-route.ts'
import { decodeOrder } from './decode-order.ts'
import { json } from './error-response.ts'
import { readJsonText } from './request.ts'
import type { RouterParts } from './route.ts'

export function approvalRoutes(parts: RouterParts): readonly AdminRoute[] {
  return [
    {
      path: '/approvals',
      methods: {
        GET: {
          permission: 'approve',
          answer: async (request) => json(200, await listApprovals(request, parts.listing)),
        },
      },
    },
    {
      path: '/approvals/:approval',
      methods: {
        GET: {
          permission: 'approve',
          answer: async (request, context) =>
            json(200, await readApproval(request, context.req.param('approval') ?? '', parts.listing)),
        },
        POST: {
          permission: 'approve',
          answer: async (request, context) => {
            const order = async () => decodeOrder(approvalOrder, await readJsonText(context))
            return json(200, await decideApproval(request, context.req.param('approval') ?? '', order, parts.listing))
          },
        },
      },
    },
  ]
}
