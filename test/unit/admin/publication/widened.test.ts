/** What a version gives that the one before did not, in lines for whoever reviews it (R091). */
import { expect, test } from 'vitest'
import { differenceOf } from '../../../../src/admin/publication/difference.ts'
import { atOnce } from '../../../../src/kernel/slices.ts'
import { type Raw, world } from '../../policy/world.ts'

const widened = (before: (d: Raw) => void, after: (d: Raw) => void): readonly string[] =>
  atOnce(differenceOf({ before: world(before), after: world(after), environment: 'development' })).widened
const manifest = (entries: Raw[]) => (d: Raw) => Object.assign(d.agents[0], { manifest: entries })
const grants =
  (...more: Raw[]) =>
  (d: Raw) => {
    d.grants = more
  }

const query = { server: 'warehouse', tool: 'query' }
const insert = { server: 'warehouse', tool: 'insert' }

test('a manifest: each tool it did not have or held to less, and nothing where it has less', () => {
  const says = ['agent orchestrator: insert at warehouse']
  expect(widened(manifest([query]), manifest([query, insert]))).toEqual(says)
  const few = { ...insert, constraints: { rows: { maximum: 9 } } }
  expect(widened(manifest([query, few]), manifest([query, insert]))).toEqual(says)
  expect(widened(manifest([query]), manifest([{ server: 'warehouse' }]))).toEqual([
    'agent orchestrator: insert at warehouse, drop_table at warehouse, unclassified at warehouse',
  ])
  expect(widened(manifest([query, insert]), manifest([query, few]))).toEqual([])
  expect(widened(manifest([query, insert]), manifest([query]))).toEqual([])
  // All that reach a tool hold it together: to take out the narrower one widens.
  expect(widened(manifest([insert, few]), manifest([insert]))).toEqual(says)
})

test('all that a client has which is new, or was a draft or suspended; nothing of one that still is', () => {
  const says = ['agent orchestrator: query at warehouse']
  const at = (state: string) => (d: Raw) => Object.assign(d.agents[0], { state, manifest: [query] })
  const absent = (d: Raw) => {
    d.agents = d.agents.filter(({ client_id }: Raw) => client_id !== 'orchestrator')
  }
  const renamed = (d: Raw) => {
    manifest([query])(d)
    d.agents[0].client_id = 'another'
  }
  expect(widened(absent, manifest([query]))).toEqual(says)
  expect(widened(manifest([query]), renamed)).toEqual(['agent another: query at warehouse'])
  for (const [from, to, said] of [
    ['draft', 'testing', says],
    ['suspended', 'active', says],
    ['testing', 'active', []],
    ['draft', 'draft', []],
    ['active', 'suspended', []],
  ] as const) {
    expect(widened(at(from), at(to)), `${from} to ${to}`).toEqual(said)
  }
  expect(widened(absent, at('draft'))).toEqual([])
})

const allow = (more: Raw = {}) => ({
  id: 'a',
  effect: 'allow',
  principals: [{ user: 'corp:alice' }, { user: 'corp:bob' }],
  resources: [query, insert],
  ...more,
})
const deny = (more: Raw = {}) => allow({ id: 'd', effect: 'deny', ...more })
const one = { principals: [{ user: 'corp:alice' }] }
const brief = { when: { not_after: '2099-01-01T00:00:00Z' } }
const NEW = 'it is new, and allows'
const MAY = 'it may let more through'
const GONE = 'it is gone, and held something back'

test.each<readonly [string, Raw[], Raw[], readonly string[]]>([
  ['a new allow', [], [allow()], [`grant a: ${NEW}`]],
  ['a new deny', [allow()], [allow(), deny()], []],
  ['a deny that is gone', [deny()], [], [`grant d: ${GONE}`]],
  ['an allow that is gone', [allow()], [], []],
  ['one that is gone and ended before', [allow(brief)], [], [`grant a: ${GONE}`]],
  ['an allow for one user more', [allow(one)], [allow()], [`grant a: ${MAY}`]],
  ['an allow for one user less', [allow()], [allow(one)], []],
  [
    'one that ends, for one user less: others may allow them for longer',
    [allow(brief)],
    [allow({ ...brief, ...one })],
    [`grant a: ${MAY}`],
  ],
  ['an allow of one tool less', [allow()], [allow({ resources: [query] })], []],
  ['a deny of one tool less', [deny()], [deny({ resources: [query] })], [`grant d: ${MAY}`]],
  ['a deny for one user more', [deny(one)], [deny()], []],
  ['an allow that has no end any more', [allow(brief)], [allow()], [`grant a: ${MAY}`]],
  ['a deny that becomes an allow', [deny()], [allow({ id: 'd' })], [`grant d: ${MAY}`]],
  ['an allow that becomes a deny', [allow({ id: 'd' })], [deny()], []],
  ['another reason, another order', [allow()], [allow({ reason: 'new', resources: [insert, query] })], []],
])('%s', (_what, before, after, says) => {
  expect(widened(grants(...before), grants(...after))).toEqual(says)
})
