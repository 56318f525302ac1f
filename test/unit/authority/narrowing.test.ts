import { describe, expect, test } from 'vitest'
import type { Authority, ResourceAuthority } from '../../../src/authority/authority.ts'
import { parseToolConstraints } from '../../../src/authority/constraints.ts'
import {
  authorityScopes,
  isEmpty,
  meet,
  restrictToResources,
  restrictToScopes,
  strictlyNarrower,
  widening,
} from '../../../src/authority/narrowing.ts'
import type { ResourceUrl } from '../../../src/kernel/ids.ts'

const WAREHOUSE = 'https://warehouse.example/mcp' as ResourceUrl
const SLACK = 'https://slack.example/mcp' as ResourceUrl

function resource(scopes: string[], tools: Record<string, unknown>, maxCalls?: number): ResourceAuthority {
  return {
    scopes,
    tools: new Map(Object.entries(tools).map(([name, raw]) => [name, parseToolConstraints(raw, name)])),
    limits: maxCalls === undefined ? {} : { maxCalls },
  }
}

function authority(resources: [ResourceUrl, ResourceAuthority][], notAfter = 1000, maxDepth = 1): Authority {
  return { resources: new Map(resources), notAfter, maxDepth }
}

const PARENT = authority([
  [WAREHOUSE, resource(['read', 'write'], { query: { limit: { maximum: 500 } }, insert: {} }, 10)],
  [SLACK, resource(['post'], { post_message: { channel: { enum: ['#finance', '#sales'] }, text: {} } })],
])

describe('widening', () => {
  const ok = resource(['read'], { query: { limit: { maximum: 100 } } }, 10)
  const cases: readonly [title: string, child: Authority, expected: string | undefined][] = [
    ['the same', PARENT, undefined],
    ['less of everything', authority([[WAREHOUSE, ok]], 999, 0), undefined],
    ['nothing', authority([]), undefined],
    ['a longer life', authority([[WAREHOUSE, ok]], 1001), 'lives longer'],
    ['a life that is no number', authority([[WAREHOUSE, ok]], Number.NaN), 'lives longer'],
    ['a further hop', authority([[WAREHOUSE, ok]], 1000, 2), 'delegated further'],
    ['another resource', authority([['https://other.example' as ResourceUrl, ok]]), 'https://other.example is not'],
    ['another scope', authority([[WAREHOUSE, resource(['admin', 'read'], {}, 1)]]), `scope 'admin'`],
    ['a scope of another resource', authority([[WAREHOUSE, resource(['post'], {}, 1)]]), `scope 'post'`],
    ['another tool', authority([[WAREHOUSE, resource(['read'], { drop: {} }, 1)]]), 'tool drop is not'],
    ['an inherited name as a tool', authority([[WAREHOUSE, resource([], { constructor: {} }, 1)]]), 'tool constructor'],
    [
      'a range widened',
      authority([[WAREHOUSE, resource([], { query: { limit: { maximum: 501 } } }, 1)]]),
      'tool query',
    ],
    ['a constraint dropped', authority([[WAREHOUSE, resource([], { query: {} }, 1)]]), 'tool query'],
    ['a limit dropped', authority([[WAREHOUSE, resource(['read'], {})]]), 'maxCalls'],
    ['a limit raised', authority([[WAREHOUSE, resource(['read'], {}, 11)]]), 'maxCalls'],
    ['a limit added', authority([[SLACK, resource(['post'], {}, 11)]]), undefined],
    [
      'an empty entry, which grants nothing',
      authority([['https://other.example' as ResourceUrl, resource([], {})]]),
      undefined,
    ],
  ]
  test.each(cases)('%s', (_title, child, expected) => {
    if (expected === undefined) expect(widening(child, PARENT)).toBeUndefined()
    else expect(widening(child, PARENT)).toContain(expected)
  })

  test('names the scopes that the parent lacks, and no others', () => {
    const child = authority([[SLACK, resource(['admin', 'post', 'root'], {})]])
    expect(widening(child, PARENT)).toMatch(/^scope 'admin' 'root' is not in the parent at /)
  })
})

describe('strictlyNarrower (DESIGN §3, delegate)', () => {
  const onlySlack = restrictToResources(PARENT, [SLACK])
  const cases: readonly [title: string, child: Authority, expected: boolean][] = [
    ['the same', PARENT, false],
    ['a shorter life only', { ...PARENT, notAfter: 1 }, false],
    ['fewer hops only', { ...PARENT, maxDepth: 0 }, false],
    ['a resource less', onlySlack, true],
    ['a resource less, but living longer', { ...onlySlack, notAfter: 2000 }, false],
    ['nothing at all', authority([]), true],
  ]
  test.each(cases)('%s: %s', (_title, child, expected) => {
    expect(strictlyNarrower(child, PARENT)).toBe(expected)
  })

  test('a scope, a tool, a constraint or a limit less each suffice', () => {
    const at = (entry: ResourceAuthority) => authority([[WAREHOUSE, entry]])
    const parent = at(resource(['read', 'write'], { query: {}, insert: {} }))
    for (const child of [
      resource(['read'], { query: {}, insert: {} }),
      resource(['read', 'write'], { query: {} }),
      resource(['read', 'write'], { query: { limit: { maximum: 5 } }, insert: {} }),
      resource(['read', 'write'], { query: {}, insert: {} }, 5),
    ]) {
      expect(strictlyNarrower(at(child), parent)).toBe(true)
    }
  })

  test('another spelling of the same constraint does not', () => {
    const at = (raw: unknown) => authority([[SLACK, resource(['post'], { post: raw as object })]])
    expect(strictlyNarrower(at({ n: { const: 5 } }), at({ n: { minimum: 5, maximum: 5 } }))).toBe(false)
    expect(strictlyNarrower(at({ n: { enum: ['a'] } }), at({ n: { const: 'a' } }))).toBe(false)
    expect(strictlyNarrower(at({ n: { enum: ['b', 'a'] } }), at({ n: { enum: ['a', 'b'] } }))).toBe(false)
    expect(strictlyNarrower(at({ '*': {}, n: {} }), at({}))).toBe(false)
  })
})

describe('meet', () => {
  test('keeps what both grant, with the tighter of each bound', () => {
    const other = authority(
      [
        [WAREHOUSE, resource(['admin', 'read'], { query: { limit: { minimum: 1 } }, drop: {} }, 20)],
        [SLACK, resource(['read'], { post_message: {} })],
      ],
      500,
      3,
    )
    const met = meet(PARENT, other)
    expect(met).toEqual(
      authority([[WAREHOUSE, resource(['read'], { query: { limit: { minimum: 1, maximum: 500 } } }, 10)]], 500, 1),
    )
  })

  test('drops a tool whose constraints exclude each other, and with its last tool the resource and its scopes', () => {
    const other = authority([[SLACK, resource(['post'], { post_message: { channel: { const: '#hr' }, text: {} } })]])
    expect(isEmpty(meet(PARENT, other))).toBe(true)
    expect(authorityScopes(meet(PARENT, other))).toEqual([])
  })

  test('a limit of either is the limit of both, and the lower of two', () => {
    const calls = (a: number | undefined, b: number | undefined) => {
      const at = (most: number | undefined) => authority([[SLACK, resource(['post'], { post: {} }, most)]])
      return meet(at(a), at(b)).resources.get(SLACK)?.limits
    }
    expect([calls(3, undefined), calls(undefined, 3)]).toStrictEqual([{ maxCalls: 3 }, { maxCalls: 3 }])
    expect([calls(3, 2), calls(2, 3), calls(undefined, undefined)]).toStrictEqual([
      { maxCalls: 2 },
      { maxCalls: 2 },
      {},
    ])
  })

  test('what is used up on one side only is used up, whichever side it is', () => {
    const scopesOnly = authority([[SLACK, resource(['post'], {})]])
    const toolsOnly = authority([[SLACK, resource([], { post: {} })]])
    const whole = authority([[SLACK, resource(['post'], { post: {} })]])
    for (const other of [scopesOnly, toolsOnly]) {
      expect(meet(whole, other).resources.size).toBe(0)
      expect(meet(other, whole).resources.size).toBe(0)
    }
    expect(meet(toolsOnly, toolsOnly).resources.size).toBe(1)
  })

  test('keeps a resource that has scopes and no tools on both sides', () => {
    const api = authority([[SLACK, resource(['revocations', 'sessions'], {})]])
    expect(meet(api, authority([[SLACK, resource(['sessions'], {})]])).resources.get(SLACK)?.scopes).toEqual([
      'sessions',
    ])
  })
})

describe('restricting', () => {
  const openedBy = (_url: string, tool: string) =>
    new Map([
      ['query', 'read'],
      ['insert', 'write'],
      ['post_message', 'post'],
    ]).get(tool)

  test('to scopes drops the tools they do not open, and the resources left with nothing', () => {
    const restricted = restrictToScopes(PARENT, ['read'], openedBy)
    expect([...restricted.resources.keys()]).toEqual([WAREHOUSE])
    expect(restricted.resources.get(WAREHOUSE)?.scopes).toEqual(['read'])
    expect([...(restricted.resources.get(WAREHOUSE)?.tools.keys() ?? [])]).toEqual(['query'])
    expect(restricted.resources.get(WAREHOUSE)?.limits).toEqual({ maxCalls: 10 })
  })

  test('to several scopes keeps the tools that any of them opens', () => {
    const two = authority([[WAREHOUSE, resource(['read', 'write'], { query: {}, insert: {} })]])
    const left = restrictToScopes(two, ['read', 'write'], (_url, name) => (name === 'query' ? 'read' : 'write'))
    expect([...(left.resources.get(WAREHOUSE)?.tools.keys() ?? [])]).toEqual(['query', 'insert'])
  })

  test('what has a resource is not empty, what has only resources that grant nothing is', () => {
    expect([isEmpty(PARENT), isEmpty(authority([[SLACK, resource([], {})]])), isEmpty(authority([]))]).toEqual([
      false,
      true,
      true,
    ])
  })

  test('to no scope leaves nothing', () => {
    expect(isEmpty(restrictToScopes(PARENT, [], openedBy))).toBe(true)
  })

  test('drops a tool that no known scope opens', () => {
    expect(isEmpty(restrictToScopes(PARENT, ['read', 'write', 'post'], () => undefined))).toBe(true)
  })

  test('to resources keeps those named and ignores strangers', () => {
    const restricted = restrictToResources(PARENT, [SLACK, 'https://other.example' as ResourceUrl])
    expect([...restricted.resources.keys()]).toEqual([SLACK])
    expect(isEmpty(restrictToResources(PARENT, []))).toBe(true)
  })
})

test('authorityScopes unites the scopes of all resources, sorted and once each', () => {
  expect(authorityScopes(PARENT)).toEqual(['post', 'read', 'write'])
})
