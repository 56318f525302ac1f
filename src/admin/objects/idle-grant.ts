/**
 * A grant that is written by itself is meant to do something: one whose time is over, and a deny that names a group, a role or an
 * environment of nobody, are refused where they are written. A misspelt deny would let through whom it was written against.
 *
 * What is imported, and what files say, is taken as it is (an export has rules whose time is over; `errand policy check` judges a
 * build). So is what names tools that are not there yet: a deny may be there before them.
 */
import { Rejection } from '../../kernel/rejection.ts'
import type { Registry } from '../../model/registry.ts'
import { borneIn, concerningNobody } from '../../policy/never-matching.ts'
import { decodeGrant } from '../../registry/decode/decode-grant.ts'
import { grant } from '../../registry/entries/grant-entry.ts'
import type { Written } from '../../registry/sections.ts'

/** What is no grant at all is said by whoever publishes it. @throws Rejection `policy_invalid` */
export function assertNotIdle(
  entry: Written,
  registry: Registry,
  { environment, now }: { readonly environment: string; readonly now: number },
): void {
  const decoded = grant.safeParse(entry)
  if (!decoded.success) return
  const rule = decodeGrant(decoded.data, `grants/${decoded.data.id}`, [])
  const found = concerningNobody(rule, borneIn(registry, { environment }), now)
  const missing = found
    .filter(({ severity, path }) => severity === 'error' || path.endsWith('.not_after'))
    .map(({ path, says }) => `${path}: ${says}`)
  if (missing.length === 0) return
  throw new Rejection('policy_invalid', 'this grant, or a part of it, would do nothing', { missing })
}
