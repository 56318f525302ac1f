/** What an operator may order: strictly decoded, and about somebody who exists; a typing error must not look like a kill. */

import { z } from 'zod'
import { NAME_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { parseUserPrincipal } from '../kernel/user-name.ts'
import type { Registry } from '../model/registry.ts'

const name = z.string().min(1).max(NAME_CHARS_MAX)
const block = z.boolean().default(false)

export const killOrder = z.discriminatedUnion('dimension', [
  z.strictObject({ dimension: z.literal('session'), session: name }),
  z.strictObject({ dimension: z.literal('session_access'), session: name }),
  z.strictObject({ dimension: z.literal('node'), session: name, node: name }),
  z.strictObject({ dimension: z.literal('key'), kid: name }),
  z.strictObject({ dimension: z.literal('everything') }),
  z.strictObject({ dimension: z.literal('agent'), agent: name, block }),
  z.strictObject({ dimension: z.literal('user'), user: name, block }),
  z.strictObject({ dimension: z.literal('user_agent'), user: name, agent: name, block }),
])
export type KillOrder = z.infer<typeof killOrder>

export const liftOrder = z.strictObject({
  kind: z.enum(['agent', 'user', 'evidence', 'pair']),
  id: z
    .string()
    .min(1)
    .max(2 * NAME_CHARS_MAX),
})
export type LiftOrder = z.infer<typeof liftOrder>

/** @throws Rejection `not_found` for a client or user that the registry cannot know */
export function assertKnown(named: { readonly agent?: string; readonly user?: string }, registry: Registry): void {
  if (named.agent !== undefined && registry.client(named.agent) === undefined) {
    throw new Rejection('not_found', 'no such agent or service: name it by its client id')
  }
  if (named.user === undefined) return
  const user = parseUserPrincipal(named.user)
  if (user === undefined || registry.issuerBySlug(user.issuerSlug) === undefined) {
    throw new Rejection('not_found', 'no such user: write user:, the slug of a configured issuer, a colon, and the sub')
  }
}
