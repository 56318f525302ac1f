/** Refusals as matters to resolve, and drafts of the policy put to past decisions: for admins. */
import { z } from 'zod'
import { previewChallenge, showChallenge } from '../admin/decisions/challenge-views.ts'
import { findChallenge, readChallenges } from '../admin/decisions/challenges.ts'
import { policyDiff } from '../admin/decisions/policy-diff.ts'
import { readDecisions } from '../admin/decisions/read-decisions.ts'
import { resolveChallenge, resolveOrder } from '../admin/decisions/resolve-challenge.ts'
import { policyFiles, toFiles } from '../admin/publication/policy-requests.ts'
import { epochSeconds } from '../kernel/clock.ts'
import { DECISIONS_LOOKED_AT_MAX } from '../kernel/limits.ts'
import { POLICY_BODY_BYTES_MAX } from '../kernel/policy-limits.ts'
import type { AdminRoute } from './admin-route.ts'
import { decodeLongOrder, decodeOrder } from './decode-order.ts'
import { json } from './error-response.ts'
import { timeOf } from './query.ts'
import { readJsonText, takeJson } from './request.ts'
import type { RouterParts } from './route.ts'

const diffOrder = z.strictObject({
  files: policyFiles,
  since: z.iso.datetime({ offset: true }).optional(),
  limit: z.int().min(1).max(DECISIONS_LOOKED_AT_MAX).default(DECISIONS_LOOKED_AT_MAX),
})

export function challengeRoutes(parts: RouterParts): readonly AdminRoute[] {
  const { listing, registries } = parts
  return [
    {
      path: '/challenges',
      methods: {
        GET: {
          permission: 'read',
          query: ['since'],
          answer: async (request, context) =>
            json(
              200,
              await readDecisions(request, listing, async (book) => {
                const { challenges, lookedAt, more } = await readChallenges(book, timeOf(context, 'since'))
                const shown = challenges.map((challenge) =>
                  showChallenge(challenge, registries.current, epochSeconds(listing.clock)),
                )
                return { challenges: shown, looked_at: lookedAt, more }
              }),
            ),
        },
      },
    },
    {
      path: '/challenges/:challenge/preview',
      methods: {
        POST: {
          permission: 'approve',
          answer: async (request, context) =>
            json(
              200,
              await readDecisions(request, listing, async (book) => {
                const challenge = await findChallenge(book, context.req.param('challenge') ?? '')
                return previewChallenge(challenge, registries.current, epochSeconds(listing.clock))
              }),
            ),
        },
      },
    },
    {
      path: '/challenges/:challenge/resolve',
      methods: {
        POST: {
          permission: 'approve',
          answer: async (request, context) => {
            const order = async () => decodeOrder(resolveOrder, await readJsonText(context))
            return json(200, await resolveChallenge(request, context.req.param('challenge') ?? '', order, parts.policy))
          },
        },
      },
    },
    diffRoute(parts),
  ]
}

function diffRoute({ listing, policy }: RouterParts): AdminRoute {
  return {
    path: '/policy/diff',
    methods: {
      POST: {
        permission: 'policy',
        answer: async (request, context) =>
          json(
            200,
            await readDecisions(request, listing, async (book) => {
              const { files, since, limit } = await decodeLongOrder(diffOrder, (take) =>
                takeJson(context, POLICY_BODY_BYTES_MAX, take),
              )
              const { registry: draft } = await policy.publisher.draft(toFiles(files))
              return policyDiff(book, draft, since === undefined ? {} : { sinceMs: Date.parse(since) }, limit)
            }),
          ),
      },
    },
  }
}
