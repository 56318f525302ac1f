/** What is asked about everybody at once: who still needs what they may, and what there is. */
import { readArchitecture, readReview } from '../admin/reviews/read-review.ts'
import type { AdminRoute } from './admin-route.ts'
import { json } from './error-response.ts'
import type { RouterParts } from './route.ts'

export function reviewRoutes(parts: RouterParts): readonly AdminRoute[] {
  return [
    {
      path: '/review',
      methods: {
        GET: {
          permission: 'read',
          query: ['days'],
          answer: async (request, context) =>
            json(200, await readReview(request, context.req.query('days'), parts.listing)),
        },
      },
    },
    {
      path: '/report/architecture',
      methods: {
        GET: {
          permission: 'read',
          answer: async (request) => json(200, await readArchitecture(request, parts.listing)),
        },
      },
    },
  ]
}
