/** What a decision says for itself: the reason and the words of a refusal, who denied, what was looked at. */
import { describe, expect, test } from 'vitest'
import type { ResourceUrl } from '../../../src/kernel/ids.ts'
import { MISSING_LINES_MAX } from '../../../src/kernel/limits.ts'
import type { Decision } from '../../../src/model/decision.ts'
import { isInForce, principalsOf } from '../../../src/policy/grant-index.ts'
import {
  ask,
  authorityOf,
  autonomous,
  FILES,
  forUser,
  granted,
  LATER,
  NOTES,
  NOW,
  question,
  type Raw,
  reason,
  SLACK,
  user,
  verdict,
  WAREHOUSE,
  world,
} from './world.ts'

const QUERY = { [WAREHOUSE]: { query: {} } }
const UNKNOWN = 'https://unknown.example/mcp' as ResourceUrl
const iso = (seconds: number) => new Date(seconds * 1000).toISOString()
const rule = (id: string, effect: string, more: Raw = {}): Raw => ({
  id,
  effect,
  principals: [{ group: 'finance' }],
  resources: [{ server: '*' }],
  ...more,
})
const policy = (...grants: Raw[]) =>
  world((d) => {
    d.grants = grants
  })
const ALL = rule('all', 'allow')
const says = (decision: Decision) =>
  decision.outcome === 'deny' ? `${decision.reason}: ${decision.description}` : 'allowed'

describe('a refusal', () => {
  const alice = 'user:corp:alice'
  test.each<[string, () => Decision, string]>([
    [
      'agent',
      () =>
        ask(
          world((d) => (d.agents[0].state = 'suspended')),
          QUERY,
        ),
      'agent_inactive: agent orchestrator is suspended',
    ],
    [
      'user',
      () =>
        ask(
          world((d) => (d.users[0].active = false)),
          QUERY,
        ),
      `user_inactive: ${alice} is not active`,
    ],
    [
      'target',
      () => ask(world(), QUERY, { target: SLACK }),
      `resource_not_in_session: nothing was asked for at ${SLACK}`,
    ],
    [
      'nobody knows it',
      () => ask(world(), { [UNKNOWN]: { query: {} } }),
      'resource_unknown: the resource is not registered',
    ],
    [
      'everywhere',
      () => ask(policy(), QUERY),
      `nothing_granted: nothing that was asked for is granted to agent orchestrator acting for ${alice}`,
    ],
    [
      'there',
      () => ask(policy(), QUERY, { target: WAREHOUSE }),
      `nothing_granted: nothing that was asked for at ${WAREHOUSE} is granted to agent orchestrator acting for ${alice}`,
    ],
    [
      'one tool is nowhere, the other not granted',
      () => ask(policy(), { [UNKNOWN]: { query: {} }, ...QUERY }),
      `nothing_granted: nothing that was asked for is granted to agent orchestrator acting for ${alice}`,
    ],
  ])('says why: %s', (_what, answer, said) => {
    expect(says(answer())).toBe(said)
  })

  test('of a server that is known and one that is not, the known one is spoken of', () => {
    const suspended = world((d) => (d.resources[0].state = 'suspended'))
    expect(says(ask(suspended, { [UNKNOWN]: { query: {} }, ...QUERY }))).toBe(
      'resource_inactive: the resource is suspended',
    )
  })

  test('where a container is named, too, an unknown server is unknown', () => {
    expect(reason(ask(world(), { [UNKNOWN]: { query: {} } }, { container: 'q3' }))).toBe('resource_unknown')
  })
})

describe('what was missing', () => {
  test.each<[string, () => Decision, string]>([
    ['server', () => ask(world(), { [UNKNOWN]: { query: {} } }), `query at ${UNKNOWN}: the resource is not registered`],
    [
      'agent',
      () =>
        ask(
          world((d) => (d.agents[0].state = 'suspended')),
          QUERY,
        ),
      'query at warehouse: agent orchestrator is suspended',
    ],
    [
      'who it is about',
      () => ask(world(), QUERY, { user: undefined }),
      'query at warehouse: user:corp:alice was not looked up',
    ],
    [
      'another user',
      () => ask(world(), QUERY, { user: user(world(), 'bob') }),
      'query at warehouse: user:corp:alice is not the user looked up',
    ],
    [
      'three grants of which two leave nothing',
      () => {
        const limit = (id: string, constraints: Raw) => rule(id, 'allow', { constraints })
        return ask(
          policy(limit('a', { x: { const: 1 } }), limit('b', { x: { const: 2 } }), limit('c', { x: {} })),
          QUERY,
        )
      },
      'query at warehouse: the grants of user:corp:alice contradict each other',
    ],
    [
      'an agent and its owner',
      () => {
        const limit = (id: string, principal: Raw, x: number) =>
          rule(id, 'allow', { principals: [principal], constraints: { x: { const: x } } })
        return ask(
          policy(ALL, limit('a', { agent: 'orchestrator' }, 1), limit('b', { owner: 'alice@corp.example' }, 2)),
          QUERY,
        )
      },
      'query at warehouse: the grants of agent orchestrator contradict each other',
    ],
    [
      'a manifest',
      () =>
        ask(
          world((d) => {
            const entry = (x: number) => ({ tool: 'query', constraints: { x: { const: x } } })
            d.agents[0].manifest = [entry(1), entry(2)]
          }),
          QUERY,
        ),
      'query at warehouse: the manifest of agent orchestrator contradict each other',
    ],
    [
      'a use that its server would not tell apart',
      () => ask(world(), { [SLACK]: { post: { channel: { const: 'a' } }, list: {} } }),
      'post at slack: the server checks scopes only, and chat would also open every use of post',
    ],
  ])('is said: %s', (_what, answer, line) => {
    expect(answer().missing[0]).toBe(line)
  })

  test('as many lines as there is room for are all shown', () => {
    const many = (count: number) => Object.fromEntries([...Array(count).keys()].map((n) => [`t${n}`, {}]))
    const lines = (count: number) => ask(world(), { [WAREHOUSE]: many(count) }).missing
    expect(lines(MISSING_LINES_MAX)).toHaveLength(MISSING_LINES_MAX)
    expect(lines(MISSING_LINES_MAX).at(-1)).toContain('t19 at warehouse')
    expect(lines(MISSING_LINES_MAX + 1).at(-1)).toBe('and 2 more tools')
  })
})

describe('grants on record', () => {
  test('are sorted, and no more than there is room for', () => {
    const grants = [...Array(MISSING_LINES_MAX + 5).keys()].map((n) => rule(`g${99 - n}`, 'allow'))
    const { grantsMatched, grantsEvaluated } = ask(policy(...grants), QUERY)
    expect(grantsMatched).toEqual([...Array(MISSING_LINES_MAX).keys()].map((n) => `g${75 + n}`))
    expect(grantsEvaluated).toBe(MISSING_LINES_MAX + 5)
  })

  test('denies that are not in force were looked at all the same', () => {
    const decision = ask(policy(ALL, rule('no', 'deny', { when: { environment: 'staging' } })), QUERY)
    expect([decision.outcome, decision.grantsEvaluated, decision.grantsMatched]).toEqual(['allow', 2, ['all']])
  })

  test('of several denies the one with the least id is named, in whatever order they are written', () => {
    const denies = ['b', 'a', 'c'].map((id) => rule(id, 'deny'))
    for (const grants of [denies, [...denies].reverse()]) {
      expect(ask(policy(...grants, ALL), QUERY).missing).toEqual(['query at warehouse: denied by grant a'])
    }
  })

  test('one of a grant’s selectors is enough, and a category alone is one', () => {
    const two = rule('two', 'allow', { resources: [{ server: 'slack' }, { tool: 'query' }] })
    expect(granted(ask(policy(two), QUERY))).toEqual(QUERY)
    const reads = rule('reads', 'allow', { resources: [{ category: 'read' }] })
    expect(granted(ask(policy(reads), { [WAREHOUSE]: { query: {}, insert: {} } }))).toEqual(QUERY)
  })

  test('a deny on one tool, and on another in a container, leaves that other alone elsewhere', () => {
    const registry = world((d) => {
      d.resources[0].containers = [
        { id: 'hr', type: 'folder' },
        { id: 'q3', type: 'folder' },
      ]
      const resources = [
        { server: 'warehouse', tool: 'insert' },
        { server: 'warehouse', container: 'hr' },
      ]
      d.grants = [ALL, rule('no', 'deny', { resources })]
    })
    const answers = ['q3', 'hr'].map((container) => ask(registry, QUERY, { container }).outcome)
    expect(answers).toEqual(['allow', 'deny'])
  })
})

describe('layers that have nothing to say', () => {
  test('say so of what the registry does not know', () => {
    for (const wanted of [{ [WAREHOUSE]: { nothing: {} } }, { [UNKNOWN]: { query: {} } }]) {
      const decision = ask(world(), wanted)
      const silent = ['agent', 'user', 'agent_grants', 'deny_grants'] as const
      expect(silent.map((layer) => verdict(decision, layer))).toEqual(silent.map(() => 'not_applicable'))
    }
  })

  test('an agent without grants of its own is narrowed by none', () => {
    expect(verdict(ask(world(), QUERY), 'agent_grants')).toBe('not_applicable')
  })

  test('what another layer has refused, a server need not enforce', () => {
    const some = { [FILES]: { get: { x: { const: 1 } }, put: {} } }
    const decision = ask(policy(ALL, rule('no', 'deny', { resources: [{ tool: 'put' }] })), some)
    expect(verdict(decision, 'enforcement')).toBe('implicit_deny')
  })

  test('a tool that another layer refuses takes no other with it', () => {
    const decision = ask(policy(ALL, rule('no', 'deny', { resources: [{ tool: 'put' }] })), {
      [FILES]: { put: {}, get: {} },
    })
    expect(granted(decision)).toEqual({ [FILES]: { get: {} } })
  })

  test('after a contradiction the layers behind it still speak', () => {
    const registry = policy(rule('a', 'allow', { constraints: { x: { const: 1 } } }))
    const decision = ask(
      registry,
      { [WAREHOUSE]: { query: { x: { const: 2 } } } },
      {
        parent: authorityOf(registry, { [WAREHOUSE]: { query: { x: { const: 1 } } } }),
      },
    )
    expect([verdict(decision, 'user'), verdict(decision, 'parent')]).toEqual(['implicit_deny', 'allowed'])
  })
})

describe('when it ends', () => {
  const ends = (decision: Decision) => (decision.outcome === 'allow' ? decision.effective.notAfter : undefined)
  const ahead = rule('later', 'deny', { resources: [{ server: 'warehouse' }], when: { not_before: iso(NOW + 10) } })

  test('a deny ahead ends tokens for its server, not those for another, nor a session', () => {
    const registry = policy(ALL, ahead)
    const wanted = { ...QUERY, [NOTES]: { note: {} } }
    const of = (target: ResourceUrl | undefined) => ends(ask(registry, wanted, { target }))
    expect([of(WAREHOUSE), of(NOTES), of(undefined)]).toEqual([NOW + 10, LATER, LATER])
  })

  test('a deny that is over ends nothing', () => {
    const when = { not_before: iso(NOW - 100), not_after: iso(NOW - 50) }
    expect(ends(ask(policy(ALL, rule('past', 'deny', { when })), QUERY, { target: WAREHOUSE }))).toBe(LATER)
  })
})

describe('what a condition is about', () => {
  const asked = question(world(), QUERY)

  test('a clock that is no number is asked for times only, an environment for environments only', () => {
    expect(isInForce({ environment: 'production' }, { ...asked, now: Number.NaN })).toBe(true)
    expect(isInForce({}, { ...asked, environment: '' })).toBe(true)
    expect(isInForce({ notAfter: NOW + 1 }, { ...asked, environment: '' })).toBe(true)
    expect(isInForce({ notBefore: NOW }, { ...asked, now: Number.NaN })).toBeUndefined()
  })

  test('work of nobody has no user’s names', () => {
    expect(principalsOf(question(world(), QUERY, autonomous(world()))).user).toEqual([])
    expect(principalsOf(question(world(), QUERY, forUser(world(), 'bob'))).user).toEqual(['user:corp:bob'])
  })
})

test('an argument that says where, and says it by no list of places, says nothing', () => {
  const registry = world((d) => {
    d.resources[0].tools.query.container_argument = 'folder'
    d.resources[0].containers = [{ id: 'q3', type: 'folder' }]
  })
  const wanted = { [WAREHOUSE]: { query: { folder: { maxLength: 9 } } } }
  expect(granted(ask(registry, wanted))).toEqual(wanted)
})

describe('an external policy', () => {
  const two = { [WAREHOUSE]: { query: {}, insert: {} } }
  const failed = { kind: 'failed', cause: 'no answer in time' } as const

  test('leaves what it allows, and nothing where it has not answered', () => {
    const external = { kind: 'answered', allowed: new Map([[WAREHOUSE, new Set(['query'])]]) } as const
    const decision = ask(world(), { ...two, [NOTES]: { note: {} } }, { external })
    expect(granted(decision)).toEqual(QUERY)
    expect(decision.missing).toEqual([
      'insert at warehouse: the external policy does not allow it',
      'note at notes: the external policy does not allow it',
    ])
    expect(verdict(ask(world(), QUERY), 'external')).toBe('not_applicable')
    expect(says(ask(world(), two, { external: failed }))).toBe('external_policy_unavailable: no answer in time')
  })

  test('that answers no is not said to have given no answer', () => {
    const external = { kind: 'answered', allowed: new Map() } as const
    expect(reason(ask(world(), two, { external }))).toBe('nothing_granted')
  })

  test('that failed is not blamed for what was refused without it', () => {
    expect(reason(ask(policy(), QUERY, { external: failed }))).toBe('nothing_granted')
    expect(
      reason(ask(policy(rule('one', 'allow', { resources: [{ tool: 'query' }] })), two, { external: failed })),
    ).toBe('external_policy_unavailable')
  })
})
