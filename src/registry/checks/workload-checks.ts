/**
 * What platforms and clients say about each other's workloads: each rule says who a workload is, in claims that are never
 * given to another, and no token is two clients' as far as that can be known beforehand.
 */

import { nearestName } from '../../kernel/nearest-name.ts'
import type { Sliced } from '../../kernel/slices.ts'
import type { ClaimValue } from '../../model/workload.ts'
import { decodeRules } from '../decode/decode-workload.ts'
import type { ServiceEntry } from '../entries/client-entry.ts'
import type { IssuerEntry } from '../entries/issuer-entry.ts'
import type { WorkloadEntry, WorkloadIssuerEntry } from '../entries/workload-entry.ts'
import { ClaimIndex } from '../workloads/claim-index.ts'
import type { Form, Platform } from '../workloads/platform.ts'
import { PLATFORMS } from '../workloads/platforms.ts'

interface Placed<T> {
  readonly at: string
  readonly entry: T
}

interface Workloads {
  readonly workloadIssuers: readonly Placed<WorkloadIssuerEntry>[]
  readonly issuers: readonly Placed<IssuerEntry>[]
  readonly services: readonly Placed<ServiceEntry>[]
  readonly agents: readonly Placed<ServiceEntry & { readonly upstream?: Readonly<Record<string, string>> }>[]
}

/** Adds a line to `problems` for each contradiction. @param broker its own issuer identifier */
export function* checkWorkloads(entries: Workloads, broker: string, problems: string[]): Sliced<undefined> {
  for (const placed of entries.workloadIssuers) {
    checkIssuer(placed, entries, broker, problems)
    yield
  }
  const bySlug = new Map(entries.workloadIssuers.map(({ entry }) => [entry.slug, entry]))
  const bindings: Placed<WorkloadEntry>[] = []
  for (const { at, entry } of [...entries.services, ...entries.agents]) {
    for (const [index, binding] of entry.workloads.entries()) {
      bindings.push({ at: `${at}.workloads[${index}]`, entry: binding })
    }
    yield
  }
  for (const { at, entry } of bindings) {
    yield
    const issuer = bySlug.get(entry.issuer)
    if (issuer === undefined) {
      const nearest = nearestName(entry.issuer, bySlug.keys())
      const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
      problems.push(`${at}.issuer: no workload issuer is named ${entry.issuer}${hint}`)
    } else checkMatch(entry.match, `${at}.match`, PLATFORMS[issuer.platform], problems)
  }
  yield* checkOverlaps(bindings, problems)
}

function checkIssuer(
  { at, entry }: Placed<WorkloadIssuerEntry>,
  { issuers, agents }: Workloads,
  broker: string,
  problems: string[],
): void {
  const platform = PLATFORMS[entry.platform]
  const form = formProblem(platform.issuer, entry.issuer)
  if (form !== undefined) problems.push(`${at}.issuer: ${form}`)
  if (entry.issuer === broker) problems.push(`${at}.issuer: is the broker itself`)
  // What a workload holds for the platform's own API server would open this broker too.
  if (entry.token_review !== undefined && entry.platform !== 'kubernetes') {
    problems.push(`${at}.token_review: only a Kubernetes API server answers that`)
  }
  const own = [entry.issuer, ...platform.ownAudiences].find((audience) => entry.audiences.includes(audience))
  if (own !== undefined) problems.push(`${at}.audiences: ${own} is the platform itself, not this broker`)
  for (const issuer of issuers.filter((other) => other.entry.issuer === entry.issuer)) {
    const { slug, user_audience, admin_audience } = issuer.entry
    const forUsers = [user_audience, admin_audience, ...agents.map((agent) => agent.entry.upstream?.[slug])]
    const shared = entry.audiences.find((audience) => forUsers.includes(audience))
    // Else a user's token of the same issuer might pass as a workload's.
    if (shared !== undefined) problems.push(`${at}.audiences: ${shared} is an audience of users' tokens (${issuer.at})`)
  }
}

/** Claims about the token, not about whom it is for. */
const OF_THE_TOKEN = ['iss', 'aud', 'exp', 'nbf', 'iat', 'jti']

function checkMatch(
  match: Readonly<Record<string, ClaimValue>>,
  at: string,
  platform: Platform,
  problems: string[],
): void {
  for (const [claim, value] of Object.entries(match)) {
    const problem = claimProblem(claim, value, platform, match)
    if (problem !== undefined) problems.push(`${at}.${claim}: ${problem}`)
  }
  if (platform.identities.some((claims) => claims.every((claim) => Object.hasOwn(match, claim)))) return
  const wanted = platform.identities.map((claims) => claims.join(' with ')).join(', or ')
  problems.push(`${at}: does not say who the workload is: name ${wanted}`)
}

function claimProblem(
  claim: string,
  value: ClaimValue,
  { claims, otherClaims }: Platform,
  match: Readonly<Record<string, ClaimValue>>,
): string | undefined {
  if (OF_THE_TOKEN.includes(claim)) return 'says nothing of the workload'
  const known = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  if (known === undefined) {
    if (otherClaims === 'may_narrow') return undefined
    const nearest = nearestName(claim, Object.keys(claims))
    return `not a claim of this platform${nearest === undefined ? '' : `; did you mean ${nearest}?`}`
  }
  const type = typeof value === 'number' ? 'integer' : typeof value
  if (type !== known.type) return `must be a ${known.type}, as the platform writes it`
  const beside = known.onlyBeside?.some((other) => Object.hasOwn(match, other)) ?? true
  if (!beside) return `can be given to somebody else: name ${known.onlyBeside?.join(' or ')} as well`
  return formProblem(known.form, value)
}

function formProblem(form: Form | undefined, value: ClaimValue): string | undefined {
  return form === undefined || form.pattern.test(String(value)) ? undefined : form.says
}

/** Where all that one rule asks for is asked for by another too, every token of the other's is also its own. */
function* checkOverlaps(bindings: readonly Placed<WorkloadEntry>[], problems: string[]): Sliced<undefined> {
  const bySlug = new Map<string, ClaimIndex<string>>()
  for (const { at, entry } of bindings) {
    const index = bySlug.get(entry.issuer) ?? new ClaimIndex<string>()
    bySlug.set(entry.issuer, index)
    index.add(decodeRules(entry.match), at)
    yield
  }
  for (const { at, entry } of bindings) {
    const asked = new Map(decodeRules(entry.match).map(({ path, value }) => [JSON.stringify(path), value]))
    const wider = bySlug.get(entry.issuer)?.fulfilled((path) => asked.get(JSON.stringify(path))) ?? []
    const other = wider.find((found) => found !== at)
    if (other !== undefined) problems.push(`${at}.match: every token it matches is matched by ${other} as well`)
    yield
  }
}
