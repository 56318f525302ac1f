/**
 * Generators of authorities from small pools of values, and a universe of argument values around every boundary in the pools:
 * small enough that two random constraints are often comparable, dense enough that every widening has a witness in it.
 */
import fc from 'fast-check'
import { admits } from '../../src/authority/argument-constraint.ts'
import type {
  ArgumentConstraint,
  Authority,
  ResourceAuthority,
  ToolConstraints,
} from '../../src/authority/authority.ts'
import { meetTool, parseToolConstraints } from '../../src/authority/constraints.ts'
import type { ResourceUrl } from '../../src/kernel/ids.ts'
import { scopeSet } from '../../src/protocol/scope.ts'

const BOUNDS = [-1, 0, 1, 2, 2.5]
const PREFIXES = ['a', 'ab', 'abc', 'b', 'a.']
const SCALARS = ['', 'a', 'ab', 'abc', 'b', 'ax', 'a..b', 'a%', 'a\\', '😀', -1, 0, 1, 2, 2.5, true, false]

export const UNIVERSE: readonly unknown[] = [
  ...[-2, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.25, 2.5, 3, Number.NaN, Number.POSITIVE_INFINITY],
  ...['', ...PREFIXES].flatMap((text) =>
    ['', 'x', 'z', 'xx', 'xxx', 'xxxx', 'xxxxx', '😀', '..', '%', '\\'].map((end) => text + end),
  ),
  ...['a..b', 'c', '😀😀', 'a😀😀'],
  ...[0, 1, 2, 3, 4, 5].map((length) => new Array(length).fill('a')),
  ...[true, false, null, { length: 1 }],
]

const bound = fc.constantFrom(...BOUNDS)
const count = fc.integer({ min: 0, max: 4 })

/** As it would be written: some of it admits nothing, and the parser must say so. */
export const rawConstraint: fc.Arbitrary<ArgumentConstraint> = fc.oneof(
  fc.constant({}),
  fc.record({ const: fc.constantFrom(...SCALARS) }),
  fc.record({ enum: fc.uniqueArray(fc.constantFrom(...SCALARS), { minLength: 1, maxLength: 5 }) }),
  fc.record({ minimum: bound, maximum: bound }, { requiredKeys: [] }),
  fc.record({ prefix: fc.constantFrom(...PREFIXES), maxLength: count }, { requiredKeys: [] }),
  fc.record({ maxItems: count }),
)

const argumentName = fc.constantFrom('x', 'y', '__proto__', 'constructor')

function parsed(raw: Readonly<Record<string, ArgumentConstraint>>): ToolConstraints[] {
  try {
    return [parseToolConstraints(raw, 'tool')]
  } catch {
    return []
  }
}

/** Entries defined as own members, so that an argument called `__proto__` is generated and not swallowed. */
function rawTool(names: fc.Arbitrary<string>): fc.Arbitrary<Readonly<Record<string, ArgumentConstraint>>> {
  const entries = fc.uniqueArray(fc.tuple(names, rawConstraint), { maxLength: 3, selector: ([name]) => name })
  return fc
    .tuple(entries, fc.boolean())
    .map(([list, open]) => Object.fromEntries(open ? [...list, ['*', {}]] : list) as Record<string, ArgumentConstraint>)
}

export function toolConstraintsOver(names: fc.Arbitrary<string>): fc.Arbitrary<ToolConstraints> {
  return rawTool(names)
    .map(parsed)
    .filter((list) => list.length === 1)
    .map(([constraints]) => constraints ?? new Map())
}

export const toolConstraints = toolConstraintsOver(argumentName)

/** Often comparable: the second is drawn freely, or narrowed from the first. */
export const toolPair: fc.Arbitrary<readonly [parent: ToolConstraints, child: ToolConstraints]> = fc
  .tuple(toolConstraints, toolConstraints, fc.boolean())
  .map(([parent, other, narrowed]) => [parent, narrowed ? (meetTool(parent, other) ?? parent) : other])

export const callArguments: fc.Arbitrary<Readonly<Record<string, unknown>>> = fc
  .uniqueArray(fc.tuple(fc.oneof(argumentName, fc.constant('z')), fc.constantFrom(...UNIVERSE)), {
    maxLength: 4,
    selector: ([name]) => name,
  })
  .map((entries) => Object.fromEntries(entries))

/** What calls are made of that a tool allows: drawn at random, hardly any value is one that its arguments admit. */
export const picks = fc.array(fc.nat(UNIVERSE.length - 1), { minLength: 5, maxLength: 5 })

/** Calls of a parsed tool that its own constraints admit, one for each pick, beside what its open set may take besides. */
export function callsWithin(constraints: ToolConstraints, picked: readonly number[]): Record<string, unknown>[] {
  return picked.map((pick) =>
    Object.fromEntries(
      [...constraints].map(([name, constraint], at) => {
        const admitted = UNIVERSE.filter((value) => admits(constraint, value))
        return [name, admitted[(pick + 31 * at) % admitted.length]]
      }),
    ),
  )
}

const URLS = ['https://a.example/mcp', 'https://b.example'] as ResourceUrl[]
const TOOLS = ['read', 'write', '__proto__', 'a.b-c_d']
export const SCOPES = ['admin', 'read', 'write']

/** Each key absent now and then: two drawn maps mostly share keys, so that comparing them says something. */
function mapOver<K extends string, V>(keys: readonly K[], value: fc.Arbitrary<V>): fc.Arbitrary<Map<K, V>> {
  return fc
    .tuple(
      ...keys.map((key) =>
        fc.option(
          value.map((drawn): [K, V] => [key, drawn]),
          { nil: undefined, freq: 4 },
        ),
      ),
    )
    .map((entries) => new Map(entries.filter((entry) => entry !== undefined)))
}

const resourceAuthority: fc.Arbitrary<ResourceAuthority> = fc.record({
  scopes: fc.oneof(fc.constant(SCOPES), fc.subarray(SCOPES)).map(scopeSet),
  tools: fc.oneof(
    { weight: 7, arbitrary: mapOver(TOOLS, fc.oneof(fc.constant(new Map()), toolConstraints)) },
    { weight: 1, arbitrary: fc.constant(new Map()) },
  ),
  limits: fc.oneof(fc.constant({}), fc.record({ maxCalls: fc.integer({ min: 1, max: 3 }) })),
})

export const authority: fc.Arbitrary<Authority> = fc.record({
  resources: mapOver(URLS, resourceAuthority),
  notAfter: fc.integer({ min: 0, max: 5 }),
  maxDepth: fc.integer({ min: 0, max: 3 }),
})

export const URLS_KNOWN: readonly ResourceUrl[] = URLS
