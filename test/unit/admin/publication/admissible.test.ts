/** What no new version of the policy may do (R078, R190, R212). */
import { expect, test } from 'vitest'
import { inadmissible } from '../../../../src/admin/publication/admissible.ts'
import { atOnce } from '../../../../src/kernel/slices.ts'
import { LIFECYCLE_STATES, legalTransition } from '../../../../src/model/lifecycle.ts'
import { type Raw, world } from '../../policy/world.ts'

const problems = (before: (d: Raw) => void, after: (d: Raw) => void): readonly string[] =>
  atOnce(inadmissible(world(before), world(after)))
const owned =
  (manifest: Raw[], owner = 'user:corp:alice') =>
  (d: Raw) => {
    Object.assign(d.agents[0], { owner, manifest })
    d.grants[0].resources = [{ server: 'warehouse', tool: 'query' }]
  }
const query = [{ server: 'warehouse', tool: 'query' }]
const both = [...query, { server: 'warehouse', tool: 'insert' }]
const says = ['agent orchestrator: its owner user:corp:alice could not be granted insert at warehouse']

test('every step of a life, of agents, servers and versions alike', () => {
  for (const from of LIFECYCLE_STATES) {
    for (const to of LIFECYCLE_STATES) {
      const at = (state: string) => (d: Raw) => {
        d.agents[0].state = state
        d.resources[0].state = state
        d.agents[1].versions = [{ version: '1', state }]
      }
      const names = ['agent orchestrator', 'agent planner, version 1', 'resource warehouse']
      const said = legalTransition(from, to) ? [] : names.map((name) => `${name}: it may not go from ${from} to ${to}`)
      expect(problems(at(from), at(to))).toEqual(said)
    }
  }
})

test('what was taken out begins anew, and a new version where it likes', () => {
  const retired = (d: Raw) => (d.agents[1].state = 'retired')
  expect(problems(retired, (d) => d.agents.pop())).toEqual([])
  expect(
    problems(
      (d) => d.agents.pop(),
      () => undefined,
    ),
  ).toEqual([])
  expect(
    problems(
      () => undefined,
      (d) => (d.agents[1].versions = [{ version: '2', state: 'active' }]),
    ),
  ).toEqual([])
})

test('another model, or another image, is another version', () => {
  const image = (letter: string) => `sha256:${letter.repeat(64)}`
  const of = (more: Raw) => (d: Raw) => (d.agents[1].versions = [{ version: '1', state: 'active', ...more }])
  const said = ['agent planner, version 1: another model or image is a new version']
  expect(problems(of({ model: 'm-1' }), of({ model: 'm-2' }))).toEqual(said)
  expect(problems(of({ model: 'm-1' }), of({}))).toEqual(said)
  expect(problems(of({ image_digest: image('a') }), of({ image_digest: image('b') }))).toEqual(said)
  expect(problems(of({}), of({ model: 'm-1', image_digest: image('a') }))).toEqual([])
})

test('an agent, or a version of it, goes into service with what was tested; more is tested first, and less is less', () => {
  const agent =
    (state: string, manifest: Raw[], versions: Raw[] = []) =>
    (d: Raw) =>
      Object.assign(d.agents[0], { state, manifest, versions })
  const version = (state: string) => [
    { version: '1', state: 'active' },
    { version: '2', state },
  ]
  const said = ['agent orchestrator: it may not go into service with more than was tested: insert at warehouse']
  expect(problems(agent('testing', query), agent('active', both))).toEqual(said)
  const held = [...query, { server: 'warehouse', tool: 'insert', constraints: { rows: { maximum: 9 } } }]
  expect(problems(agent('testing', held), agent('active', both))).toEqual(said)
  expect(problems(agent('active', query, version('testing')), agent('active', both, version('active')))).toEqual(said)
  for (const [before, after] of [
    [agent('testing', both), agent('active', query)],
    [agent('testing', both), agent('active', both)],
    [agent('testing', query), agent('testing', both)],
    [agent('suspended', query), agent('active', both)],
    [agent('active', query, version('testing')), agent('active', query, version('active'))],
  ] as const) {
    expect(problems(before, after)).toEqual([])
  }
})

test('nobody widens an agent beyond themselves; whoever loses rights is not kept from losing them', () => {
  expect(problems(owned(query), owned(both))).toEqual(says)
  expect(problems(owned(both, 'a team'), owned(both))).toEqual(says)
  expect(problems((d) => d.agents.shift(), owned(both))).toEqual(says)
  expect(problems(owned(both), owned(both))).toEqual([])
  expect(problems(owned(both), owned(query))).toEqual([])
  const lost = (d: Raw) => {
    owned(query)(d)
    d.grants[0].resources = [{ server: 'slack' }]
  }
  expect(problems(owned(query), lost)).toEqual([])
})
