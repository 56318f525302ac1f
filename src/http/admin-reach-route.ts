/** What an agent could be given at this moment, for operators. */
import { idInPath } from '../admin/objects/stored-objects.ts'
import { readAs } from '../admin/session-listing.ts'
import { agentReach } from '../calls/agent-reach.ts'
import type { AdminRoute } from './admin-route.ts'
import { json } from './error-response.ts'
import type { RouterParts } from './route.ts'

export function reachRoutes({ listing, evaluation }: RouterParts): readonly AdminRoute[] {
  return [
    {
      path: '/agents/:id/reach',
      methods: {
        GET: {
          permission: 'read',
          query: ['user'],
          answer: async (request, context) => {
            const id = idInPath(context.req.param('id') ?? '')
            const user = context.req.query('user')
            return json(200, await readAs(request, listing, 'admin.read', () => agentReach(id, user, evaluation)))
          },
        },
      },
    },
  ]
}
