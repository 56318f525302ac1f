/** What a new version takes from users, and from everybody of an issuer. */

import { userPrincipal } from '../../kernel/ids.ts'
import { each, type Sliced } from '../../kernel/slices.ts'
import type { Issuer, User } from '../../model/issuer.ts'
import type { Registry } from '../../model/registry.ts'
import { principalKey } from '../../policy/grant-index.ts'
import { isSame, keepsAll } from './fingerprint.ts'
import type { TakenAway, Versions } from './taken.ts'
import { canNarrow } from './taken-from-grants.ts'

type Rules = { readonly [K in keyof Issuer]-?: (before: Issuer[K], after: Issuer[K]) => boolean }

const KEEPS = () => true
const never = () => false
const unlessOff = (before: boolean, after: boolean) => after || !before
const unlessGone = (before: unknown, after: unknown) => before === undefined || isSame(before, after)

/** Whether a change leaves its users what they hold. Every member of an issuer: one that is added has to say so. */
const RULES: Rules = {
  issuer: never,
  slug: never,
  // Who signs is who is believed.
  jwksUri: never,
  files: never,
  algorithms: (before, after) => before !== undefined && after !== undefined && keepsAll(before, after),
  otherHosts: (before, after) => keepsAll(before, after),
  acceptsIdTokens: unlessOff,
  accessTokenScope: unlessGone,
  idJagScope: unlessGone,
  idJagTenant: never,
  accessTokenTyp: KEEPS,
  introspection: unlessGone,
  otherAudiences: (before, after) => keepsAll(before, after),
  brokerAudience: KEEPS,
  userAudience: KEEPS,
  adminAudience: KEEPS,
  users: (_before, after) => after === 'from_issuer',
  acceptsForeignActors: unlessOff,
  sessionMayOutliveSubject: unlessOff,
  givesAuthTime: KEEPS,
  // Read when somebody signs in.
  riskClaim: KEEPS,
}

export function takenFromIssuer(before: Issuer, { after: registry }: Versions, taken: TakenAway): void {
  const after = registry.issuerBySlug(before.slug)
  const what = `issuer ${before.slug}`
  if (after === undefined) {
    taken.add('issuer', before.slug, `${what}: removed`)
    return
  }
  const rules = RULES as Readonly<Record<string, (before: unknown, after: unknown) => boolean>>
  for (const [member, rule] of Object.entries(rules)) {
    const [from, to] = [before[member as keyof Issuer], after[member as keyof Issuer]]
    if (!isSame(from, to) && !rule(from, to)) taken.add('issuer', before.slug, `${what}: ${member}`)
  }
}

/** Names that may cost whoever bears them something, in this version. */
export function* narrowingNames({ grants }: Registry): Sliced<ReadonlySet<string>> {
  const names = new Set<string>()
  yield* each(grants, (grant) => {
    if (canNarrow(grant)) for (const principal of grant.principals) names.add(principalKey(principal))
  })
  return names
}

export function takenFromUser(
  { issuerSlug, sub }: Pick<User, 'issuerSlug' | 'sub'>,
  { before, after }: Versions,
  hazards: ReadonlySet<string>,
  taken: TakenAway,
): void {
  const [had, has] = [userIn(before, issuerSlug, sub), userIn(after, issuerSlug, sub)]
  if (had?.active !== true) return
  const who = userPrincipal(issuerSlug, sub)
  if (has?.active !== true) {
    taken.add('user', who, `${who}: no longer active`)
    return
  }
  const borne = ({ groups, roles }: User) => [
    ...groups.map((group) => principalKey({ group })),
    ...roles.map((role) => principalKey({ role })),
  ]
  const [were, are] = [borne(had), borne(has)]
  const isLess = were.some((name) => !are.includes(name))
  if (isLess || are.some((name) => !were.includes(name) && hazards.has(name))) {
    taken.add('user_access', who, `${who}: groups or roles`)
  }
}

function userIn(registry: Registry, slug: string, sub: string): User | undefined {
  const issuer = registry.issuerBySlug(slug)
  return issuer === undefined ? undefined : registry.user(issuer, sub)
}
