/** The tree of projects and containers as it is written: what is refused, and what the registry then knows. */
import { expect, test } from 'vitest'
import { CONTAINER_DEPTH_MAX, CONTAINERS_PER_RESOURCE_MAX, PROJECT_DEPTH_MAX } from '../../../src/kernel/limits.ts'
import { problemsAfter, type Raw, registryAfter } from './document.ts'

const at = 'registry.yaml: '

/** `data` ▸ `analytics` ▸ `reports`; the warehouse is in `analytics`, and holds `q` ▸ `q3` ▸ `q3-emea` beside `hr`. */
function planted(document: Raw): void {
  document.projects = [
    { id: 'analytics', parent: 'data', owner: 'ana' },
    { id: 'data', owner: 'data-team' },
    { id: 'reports', parent: 'analytics', owner: 'ana' },
  ]
  document.resources[0].containers = [
    { id: 'q3', type: 'folder', parent: 'q', attributes: { year: 2026, closed: false, label: 'third quarter' } },
    { id: 'q', type: 'folder' },
    { id: 'q3-emea', type: 'folder', parent: 'q3' },
    { id: 'hr', type: 'folder' },
  ]
}

const after = (change: (document: Raw) => void) =>
  problemsAfter((d) => {
    planted(d)
    change(d)
  })

test('projects and containers know what is above them, in whatever order they are written', () => {
  const registry = registryAfter(planted)
  expect(registry.projects.map(({ id, owner, lineage }) => [id, owner, lineage])).toEqual([
    ['analytics', 'ana', ['analytics', 'data']],
    ['data', 'data-team', ['data']],
    ['reports', 'ana', ['reports', 'analytics', 'data']],
  ])
  const [warehouse, notes] = registry.resources
  expect([warehouse?.projects, notes?.projects]).toEqual([['analytics', 'data'], ['default']])
  expect([...(warehouse?.containers.values() ?? [])].map(({ id, lineage }) => [id, lineage])).toEqual([
    ['q3', ['q3', 'q']],
    ['q', ['q']],
    ['q3-emea', ['q3-emea', 'q3', 'q']],
    ['hr', ['hr']],
  ])
  expect(Object.fromEntries(warehouse?.containers.get('q3')?.attributes ?? [])).toEqual({
    year: 2026,
    closed: false,
    label: 'third quarter',
  })
  expect(notes?.containers.size).toBe(0)
})

test('where no project is registered, a project is what a resource calls it', () => {
  const registry = registryAfter(() => undefined)
  expect([registry.projects, registry.resources[0]?.projects]).toEqual([[], ['analytics']])
})

test.each<[string, (document: Raw) => void, string]>([
  ['a project nobody owns', (d) => delete d.projects[0].owner, `${at}projects[0].owner: required`],
  ['a project twice', (d) => (d.projects[2].id = 'data'), `${at}projects[2].id: already used by ${at}projects[1]`],
  ['an unknown parent', (d) => (d.projects[0].parent = 'dta'), `${at}projects[0].parent: no project is named dta; did`],
  ['a project below itself', (d) => (d.projects[1].parent = 'data'), `${at}projects[1].parent: data would lie below`],
  ['a circle', (d) => (d.projects[1].parent = 'reports'), `${at}projects[1].parent: data would lie below itself`],
  ['a project that is not registered', (d) => (d.resources[0].project = 'analytic'), `${at}resources[0].project: no`],
  ['a container without type', (d) => delete d.resources[0].containers[0].type, `${at}resources[0].containers[0].type`],
  [
    'a container twice',
    (d) => (d.resources[0].containers[3].id = 'q'),
    `${at}resources[0].containers[3].id: already used by ${at}resources[0].containers[1]`,
  ],
  [
    'a container below one of another server',
    (d) => (d.resources[1].containers = [{ id: 'x', type: 'folder', parent: 'hr' }]),
    `${at}resources[1].containers[0].parent: no container of notes is named hr`,
  ],
  [
    'containers in a circle',
    (d) => (d.resources[0].containers[1].parent = 'q3-emea'),
    `${at}resources[0].containers[1].parent: q would lie below itself`,
  ],
  [
    'a nested attribute',
    (d) => (d.resources[0].containers[0].attributes.year = { is: 2026 }),
    `${at}resources[0].containers[0].attributes.year: `,
  ],
  [
    'more attributes than there is room for',
    (d) => {
      const many = Array.from({ length: 17 }, (_, n) => [`a${n}`, n])
      d.resources[0].containers[0].attributes = Object.fromEntries(many)
    },
    `${at}resources[0].containers[0].attributes: at most 16`,
  ],
  [
    'a selector with a container of another server',
    (d) => (d.grants[0].resources = [{ server: 'notes', container: 'hr' }]),
    `${at}grants[0].resources[0].container: no container of notes is named hr`,
  ],
  [
    'a selector with a container and no server',
    (d) => (d.grants[0].resources = [{ tool: 'query', container: 'hr' }]),
    `${at}grants[0].resources[0]: a container is named together with its server`,
  ],
  [
    'a manifest with a container of every server',
    (d) => (d.agents[0].manifest = [{ server: '*', container: 'hr' }]),
    `${at}agents[0].manifest[0]: a container is named together with its server`,
  ],
  [
    'a tool that no server of a project, nor of those below it, has',
    (d) => (d.grants[0].resources = [{ project: 'data', tool: 'read_note' }]),
    `${at}grants[0].resources[0].tool: no tool of project data is named read_note`,
  ],
])('refused: %s', (_what, change, problem) => {
  expect(after(change)).toEqual(expect.arrayContaining([expect.stringContaining(problem)]))
})

test('a selector may name a tool of a project by a project above it, and the default project needs no entry', () => {
  const registry = registryAfter((d) => {
    planted(d)
    d.grants[0].resources = [
      { project: 'data', tool: 'query' },
      { project: 'default', tool: 'read_note' },
      { server: 'warehouse', container: 'q3' },
    ]
  })
  expect(registry.grants[0]?.resources[2]).toEqual({ server: 'warehouse', container: 'q3' })
})

test('no branch is deeper than its bound, and no server has more containers than its own', () => {
  const chain = (length: number, more: Raw) =>
    Array.from({ length }, (_, n) => ({ id: `n${n}`, ...(n === 0 ? {} : { parent: `n${n - 1}` }), ...more }))
  const projects = (length: number) => (d: Raw) => {
    d.resources[0].project = 'default'
    d.projects = chain(length, { owner: 'o' })
  }
  const containers = (length: number) => (d: Raw) => (d.resources[0].containers = chain(length, { type: 'folder' }))
  expect(registryAfter(projects(PROJECT_DEPTH_MAX)).projects).toHaveLength(PROJECT_DEPTH_MAX)
  expect(problemsAfter(projects(PROJECT_DEPTH_MAX + 1))).toEqual([
    `${at}projects[${PROJECT_DEPTH_MAX}].parent: more than ${PROJECT_DEPTH_MAX} levels deep`,
  ])
  registryAfter(containers(CONTAINER_DEPTH_MAX))
  expect(problemsAfter(containers(CONTAINER_DEPTH_MAX + 1))).toEqual([
    `${at}resources[0].containers[${CONTAINER_DEPTH_MAX}].parent: more than ${CONTAINER_DEPTH_MAX} levels deep`,
  ])
  const wide = (length: number) => (d: Raw) =>
    (d.resources[0].containers = Array.from({ length }, (_, n) => ({ id: `n${n}`, type: 'folder' })))
  registryAfter(wide(CONTAINERS_PER_RESOURCE_MAX))
  expect(problemsAfter(wide(CONTAINERS_PER_RESOURCE_MAX + 1))).toHaveLength(1)
})
