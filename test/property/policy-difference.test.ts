/** The law of publication (DESIGN §6): what a token's holder could do under the version before, and could not under this one, is dead. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { differenceOf, takenBy } from '../../src/admin/publication/difference.ts'
import { CutoffSet } from '../../src/authority/cutoffs.ts'
import { restrictToResources, widening } from '../../src/authority/narrowing.ts'
import type { TokenFacts } from '../../src/authority/token-facts.ts'
import type { ResourceUrl } from '../../src/kernel/ids.ts'
import { atOnce } from '../../src/kernel/slices.ts'
import type { Question } from '../../src/model/decision.ts'
import type { Registry } from '../../src/model/registry.ts'
import { decide } from '../../src/policy/decide.ts'
import { LATER, type Raw } from '../unit/policy/world.ts'
import { questionOf, registryOf } from './asked-questions.ts'
import { type Asking, asking, document } from './policy-arbitraries.ts'

const SECTIONS = ['resources', 'agents', 'users', 'grants', 'projects'] as const

/** A policy, and one in which some sections say something else. */
const versions: fc.Arbitrary<readonly [Raw, Raw]> = fc
  .tuple(document, document, fc.subarray([...SECTIONS], { minLength: 1, maxLength: 2 }))
  .map(([before, other, changed]) => [
    before,
    { ...before, ...Object.fromEntries(changed.map((section) => [section, other[section]])) },
  ])

/** Asked by everybody for everything it may hold, at one server: what access tokens are for. */
const bearing: fc.Arbitrary<Asking> = fc
  .tuple(
    asking,
    fc.constantFrom(
      ['https://warehouse.example/mcp', 'query'] as const,
      ['https://slack.example/mcp', 'list'] as const,
      ['https://files.example/mcp', 'get'] as const,
    ),
  )
  .map(([asked, [target, tool]]) => ({
    ...asked,
    wanted: { [target]: { [tool]: {} } },
    notAfter: LATER,
    environment: 'production',
    external: 'none',
    // Only a question about a call is asked in a container; a token is for whatever its constraints leave.
    container: undefined,
    target,
  }))

function cutOffs(before: Registry, after: Registry, environment: string): CutoffSet {
  const set = new CutoffSet()
  for (const { dimension, id } of atOnce(takenBy({ before, after, environment }))) {
    set.apply({ entry: 'cutoff', dimension, id, seq: 2, atMs: 0, expiresAtMs: 1 })
  }
  return set
}

function factsOf({ agent, chain, user, subject }: Question, audience: string): TokenFacts {
  return {
    rv: 1,
    nodes: [],
    agents: [agent, ...chain].map(({ clientId }) => clientId),
    ...(user === undefined ? {} : { user: subject }),
    versions: [],
    subject,
    accessToken: true,
    audience,
  }
}

test('a token that would not be given again as it is, is dead', () => {
  const seen = { dead: 0, alive: 0, lost: 0 }
  fc.assert(
    fc.property(versions, bearing, ([first, second], asked) => {
      const [before, after] = [registryOf(first), registryOf(second)]
      const question = questionOf(before, asked)
      const given = decide(before, question)
      if (given.outcome === 'deny') return
      const target = asked.target as ResourceUrl
      const held = restrictToResources(given.effective, [target])
      const isGivenBy = (registry: Registry) => {
        const again = decide(registry, { ...questionOf(registry, asked), asked: held, askedExplicitly: false })
        return again.outcome !== 'deny' && widening(held, again.effective) === undefined
      }
      // Where a constraint of one entry names the container that another is about, both hold from then on: one version does not
      // give all of it twice.
      if (!isGivenBy(before)) return
      const isLost = !isGivenBy(after)
      const isDead = cutOffs(before, after, asked.environment).killing(factsOf(question, target)) !== undefined
      if (isLost) {
        expect(isDead).toBe(true)
        seen.lost += 1
      }
      seen[isDead ? 'dead' : 'alive'] += 1
    }),
    { numRuns: 2_400 },
  )
  // Both happen, or nothing is proved: killing everything would keep the law, too.
  expect(Math.min(seen.lost, seen.alive), JSON.stringify(seen)).toBeGreaterThan(5)
})

const without = (list: Raw[], n: number) => list.filter((_, index) => index !== n % list.length)
/** One step from the first towards the second. */
const STEPS: Readonly<Record<string, (first: Raw, second: Raw, n: number) => Raw>> = {
  'a grant less': ({ grants }, _, n) => ({ grants: without(grants, n) }),
  'a grant more': ({ grants }, second, n) => ({
    grants: [...grants, ...second.grants.slice(n % 3, (n % 3) + 1).map((grant: Raw) => ({ ...grant, id: 'one-more' }))],
  }),
  'a grant that says something else': ({ grants }, second, n) => ({
    grants: grants.map((grant: Raw, index: number) => ({ ...(second.grants[index + (n % 2)] ?? grant), id: grant.id })),
  }),
  'other manifests': ({ agents }, second) => ({
    agents: agents.map((agent: Raw, index: number) => ({
      ...agent,
      manifest: second.agents[index]?.manifest ?? agent.manifest,
    })),
  }),
}

test.each(Object.entries(STEPS))('%s: what it gives more, it says that it gives (R091)', (_what, step) => {
  const seen = { said: 0, unsaid: 0 }
  fc.assert(
    fc.property(document, document, bearing, fc.nat({ max: 5 }), (first, second, asked, n) => {
      const [before, after] = [registryOf(first), registryOf({ ...first, ...step(first, second, n) })]
      const { widened } = atOnce(differenceOf({ before, after, environment: asked.environment }))
      if (widened.length > 0) seen.said += 1
      else {
        seen.unsaid += 1
        const was = decide(before, questionOf(before, asked))
        const is = decide(after, questionOf(after, asked))
        if (is.outcome === 'deny') return
        expect(was.outcome !== 'deny' && widening(is.effective, was.effective) === undefined).toBe(true)
      }
    }),
    { numRuns: 600 },
  )
  expect(Math.min(seen.said, seen.unsaid), JSON.stringify(seen)).toBeGreaterThan(5)
})

test('the same policy, however it is ordered and named, takes nothing away and changes nothing', () => {
  fc.assert(
    fc.property(document, (made) => {
      const renamed = made.grants.map((grant: Raw, index: number) => ({
        ...grant,
        id: `other-${index}`,
        reason: 'new',
      }))
      const after = registryOf({ ...made, grants: [...renamed].reverse(), users: [...made.users].reverse() })
      const before = registryOf(made)
      expect(atOnce(takenBy({ before, after, environment: 'production' }))).toEqual([])
      const same = atOnce(differenceOf({ before, after: registryOf(made), environment: 'production' }))
      expect(same).toEqual({ added: [], changed: [], removed: [], taken: [], widened: [] })
    }),
    { numRuns: 60 },
  )
})

const WIDER: Readonly<Record<string, (made: Raw) => Raw>> = {
  'another user': (made) => ({ users: [...made.users, { issuer: 'corp', sub: 'carol', groups: ['finance'] }] }),
  'an allow that holds nobody to anything': (made) => ({
    grants: [
      ...made.grants,
      { id: 'more', effect: 'allow', principals: [{ user: 'corp:bob' }], resources: [{ server: '*' }], reason: 'more' },
    ],
  }),
  'denies that are gone': (made) => ({ grants: made.grants.filter(({ effect }: Raw) => effect === 'allow') }),
  'an agent that returns': (made) => ({
    agents: made.agents.map((agent: Raw) => (agent.state === 'suspended' ? { ...agent, state: 'active' } : agent)),
  }),
  'a manifest that holds everything': (made) => ({
    agents: made.agents.map((agent: Raw) => ({ ...agent, manifest: [{ server: '*' }] })),
  }),
}

test.each(Object.entries(WIDER))('%s: a policy that only gives more kills nothing', (_what, widen) => {
  fc.assert(
    fc.property(document, (made) => {
      const [before, after] = [registryOf(made), registryOf({ ...made, ...widen(made) })]
      expect(atOnce(takenBy({ before, after, environment: 'production' }))).toEqual([])
    }),
    { numRuns: 60 },
  )
})
