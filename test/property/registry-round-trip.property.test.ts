/** What is exported can be imported, and is then exported letter by letter the same: for registries of any shape and any words. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { parseYamlText } from '../../src/registry/strict-document.ts'
import { managementToken } from '../support/hops.ts'
import { publicJwk, testKey } from '../support/keys.ts'
import { startWorld, type World } from '../support/world.ts'

const RUNS = 15

let one: World
let other: World
beforeAll(async () => {
  one = await startWorld()
  other = await startWorld({ issuer: one.idp, port: one.config.listen.port })
})
afterAll(async () => {
  await other?.close()
  await one?.close()
})

/** Words that YAML could take for something else, among those that it could not. */
const HAZARDS = ['no', 'yes', 'null', 'true', '1e5', '0x1f', '1.0', '2026-11-21', 'on', 'y', '08', '1_000', '-1', '.5']
const id = fc.oneof(
  fc.constantFrom(...HAZARDS.filter((word) => /^[A-Za-z0-9]/.test(word))),
  fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/),
)
const words = fc.oneof(
  fc.constantFrom(
    ...HAZARDS,
    '# no comment',
    'a: b',
    "it's",
    '"',
    '- x',
    '~',
    '*a',
    '&a',
    '|',
    '>',
    '!!str',
    '%',
    '@',
    '`',
    '{',
    ']',
  ),
  fc.stringMatching(/^[ -~\u00a1-\u024f\u4e00-\u4eff]{1,24}$/),
  fc.constantFrom('ünï', '財務', '😀 team', ' led', 'trailed '),
)
const category = fc.constantFrom('read', 'write', 'destructive', 'admin')
const literal = fc.oneof(words, fc.integer(), fc.double({ noNaN: true, min: -1e9, max: 1e9 }), fc.boolean())
const constraint = fc.oneof(
  fc.record({ const: literal }),
  fc.record({ enum: fc.uniqueArray(words, { minLength: 1, maxLength: 3 }) }),
  fc.record({ maximum: fc.integer({ min: -1_000_000, max: 1_000_000 }) }),
)
const tools = fc.dictionary(
  id,
  fc.record(
    { category, delegable: fc.boolean(), approval: fc.constantFrom('required', 'none') },
    { requiredKeys: ['category'] },
  ),
  {
    maxKeys: 4,
  },
)
const named = <T extends object>(shape: fc.Arbitrary<T>, most: number) =>
  fc
    .uniqueArray(fc.tuple(id, shape), { selector: ([name]) => name, maxLength: most })
    .map((pairs) => pairs.map(([name, rest]) => ({ name, ...rest })))

const registry = fc
  .record({
    projects: named(fc.record({ owner: words }), 3),
    resources: named(fc.record({ owner: words, tools, exposure: fc.constantFrom('internal') }), 3),
    agents: named(
      fc.record({ owner: words, constraints: fc.option(fc.dictionary(id, constraint, { maxKeys: 2 })) }),
      3,
    ),
    roles: named(fc.record({ groups: fc.uniqueArray(words, { maxLength: 3 }) }), 3),
    grants: named(fc.record({ effect: fc.constantFrom('allow', 'deny'), reason: words, group: words, category }), 4),
  })
  .map(({ projects, resources, agents, roles, grants }) => ({
    // With projects of its own a registry names all that its servers, those of the files too, are in.
    projects:
      projects.length === 0
        ? []
        : [{ id: 'analytics', owner: 'data' }, ...projects.map(({ name, owner }) => ({ id: `p${name}`, owner }))],
    resources: resources.map(({ name, ...rest }, index) => ({
      id: `r${name}`,
      url: `https://r${index}.example/mcp`,
      project: projects[0] === undefined ? 'default' : `p${projects[0].name}`,
      ...rest,
    })),
    agents: agents.map(({ name, owner, constraints }) => ({
      client_id: `a${name}`,
      owner,
      environment: 'development',
      keys: [{ ...publicJwk(testKey('round-trip-key')), version: '1' }],
      manifest: [{ category: 'read', ...(constraints === null ? {} : { constraints }) }],
    })),
    roles: roles.map(({ name, groups }) => ({ name, groups })),
    grants: grants.map(({ name, effect, reason, group, category: of }) => ({
      id: `g${name}`,
      effect,
      principals: [{ group }],
      resources: [{ category: of }],
      reason,
    })),
  }))

async function ask(world: World, method: string, body?: unknown) {
  const path = '/admin/v1/registry'
  return world.bearer(method === 'GET' ? `${path}?source=api` : path, await managementToken(world), method, body)
}

test('through the API, and through the YAML that errand registry export prints', async () => {
  let written = 0
  await fc.assert(
    fc.asyncProperty(registry, async (document) => {
      const done = await ask(one, 'POST', { document })
      expect(done.status, JSON.stringify(done.body)).toBe(200)
      const exported = (await ask(one, 'GET')).body
      written += Object.keys(exported.document).length
      const text = stringify(exported.document, { aliasDuplicateObjects: false })
      expect(parseYamlText(text, 'exported')).toEqual(exported.document)
      const imported = await ask(other, 'POST', { document: parseYamlText(text, 'exported') })
      expect([imported.status, imported.body.policy], JSON.stringify(imported.body)).toEqual([200, exported.policy])
      expect((await ask(other, 'GET')).body).toEqual(exported)
      // Once more is no change.
      const again = await ask(one, 'POST', { document: exported.document, dry_run: true })
      expect([again.body.added, again.body.changed, again.body.removed]).toEqual([[], [], []])
    }),
    { numRuns: RUNS },
  )
  expect(written).toBeGreaterThan(RUNS)
})
