import { expect, test } from 'vitest'
import type { ToolSelector } from '../../../src/model/resource.ts'
import { selects } from '../../../src/policy/selector.ts'
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
