/** What was captured beside records, for whoever investigates: each reading with a reason, and on record. */
import { eraseCaptured } from '../admin/captured/erase-captured.ts'
import { readCaptured } from '../admin/captured/read-captured.ts'
import { rekey, rekeyOrder } from '../admin/captured/rekey.ts'
import { searchCaptured, searchOrder } from '../admin/captured/search-captured.ts'
import type { AdminRoute } from './admin-route.ts'
import { decodeOrder } from './decode-order.ts'
import { json } from './error-response.ts'
import { readJsonText } from './request.ts'
import type { RouterParts } from './route.ts'

export function capturedRoutes(parts: RouterParts): readonly AdminRoute[] {
  const { listing } = parts
  return [
    {
      path: '/audit/:record/captured/:kind',
      methods: {
        GET: {
          permission: 'forensics',
          query: ['reason'],
          answer: async (request, context) => {
            const { record = '', kind = '' } = context.req.param()
            return json(
              200,
              await readCaptured(request, () => ({ record, kind, reason: context.req.query('reason') }), listing),
            )
          },
        },
      },
    },
    {
      path: '/audit/:record/captured',
      methods: {
        DELETE: {
          permission: 'security',
          query: ['reason'],
          answer: async (request, context) => {
            const { record = '' } = context.req.param()
            return json(
              200,
              await eraseCaptured(request, () => ({ record, reason: context.req.query('reason') }), listing),
            )
          },
        },
      },
    },
    ...manyRoutes(parts),
  ]
}

/** Of more than one record. */
function manyRoutes({ listing }: RouterParts): readonly AdminRoute[] {
  return [
    {
      path: '/audit/captured/search',
      methods: {
        POST: {
          permission: 'forensics',
          answer: async (request, context) => {
            const order = async () => decodeOrder(searchOrder, await readJsonText(context))
            return json(200, await searchCaptured(request, order, listing))
          },
        },
      },
    },
    {
      path: '/audit/captured/rekey',
      methods: {
        POST: {
          permission: 'security',
          answer: async (request, context) => {
            const order = async () => decodeOrder(rekeyOrder, await readJsonText(context))
            return json(200, await rekey(request, order, listing))
          },
        },
      },
    },
  ]
}
