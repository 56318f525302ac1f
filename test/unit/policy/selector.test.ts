import { expect, test } from 'vitest'
import type { ToolSelector } from '../../../src/model/resource.ts'
import { grantsFor } from '../../../src/policy/grant-index.ts'
import { selects } from '../../../src/policy/selector.ts'
import { ToolReach } from '../../../src/policy/tool-reach.ts'
import { world } from './world.ts'

const [resource] = world().resources
const tool = resource?.tools.get('query')

test.each<[ToolSelector, boolean]>([
  [{}, false],
  [{ server: 'warehouse' }, true],
  [{ server: 'Warehouse' }, false],
  [{ server: '*' }, true],
  [{ project: 'analytics' }, true],
  [{ project: 'default' }, false],
  [{ project: '*' }, true],
  [{ tool: 'query' }, true],
  [{ tool: 'quer' }, false],
  [{ tool: '*' }, true],
  [{ category: 'read' }, true],
  [{ category: 'write' }, false],
  [{ server: 'warehouse', category: 'write' }, false],
  [{ server: 'slack', tool: 'query' }, false],
  [
    {
      project: 'analytics',
      server: 'warehouse',
      tool: 'query',
      category: 'read',
    },
    true,
  ],
])('%j selects query at warehouse: %s', (selector, selected) => {
  if (resource === undefined || tool === undefined) throw new Error('no query')
  expect(selects(selector, resource, tool)).toBe(selected)
})

test('whatever a selector names, and with * wherever it may stand, it is found where it selects and nowhere else', () => {
  const registry = world()
  const [grant] = registry.grants
  if (grant === undefined) throw new Error('no grant')
  const choices = (name: string, ...values: string[]) => [{}, ...values.map((value) => ({ [name]: value }))]
  const selectors: ToolSelector[] = choices('project', '*', 'analytics', 'default').flatMap((project) =>
    choices('server', '*', 'warehouse', 'slack').flatMap((server) =>
      choices('tool', '*', 'query', 'post', 'nothing').flatMap((tool) =>
        choices('category', 'read', 'write').map((category) => ({ ...project, ...server, ...tool, ...category })),
      ),
    ),
  )
  const grants = selectors.map((selector) => ({ ...grant, id: JSON.stringify(selector), resources: [selector] }))
  const changed = { ...registry, grants }
  const reach = new ToolReach(registry.resources)
  for (const at of registry.resources) {
    for (const one of at.tools.values()) {
      const selecting = selectors.filter((selector) => selects(selector, at, one))
      const use = { resource: at, tool: one, place: undefined }
      expect(
        grantsFor(changed, use, ['group:finance'])
          .map(({ id }) => id)
          .sort(),
      ).toEqual(selecting.map((selector) => JSON.stringify(selector)).sort())
      const reaching = selectors.filter((selector) => reach.of(selector).some(({ tool: reached }) => reached === one))
      expect(reaching).toEqual(selecting)
    }
  }
})
