import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newClientKey } from '../../../../src/cli/agent/client-key.ts'
import { policyWarnings } from '../../../../src/cli/check/policy-warnings.ts'
import { type Choices, configText, registryText } from '../../../../src/cli/setup/scaffold.ts'
import { decodeConfig } from '../../../../src/config/load-config.ts'
import { parseRegistryText } from '../../../../src/registry/load-registry.ts'
import { parseYamlText } from '../../../../src/registry/strict-document.ts'

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/)
/** What people call themselves: anything that is no control character. */
const prose = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .filter((text) => !/[\p{Cc}\u2028\u2029]/u.test(text))

const choices: fc.Arbitrary<Choices> = fc.record({
  issuer: fc.constantFrom('http://127.0.0.1:4400', 'https://errand.example', 'https://errand.example/tenant'),
  port: fc.integer({ min: 1, max: 65_535 }),
  environment: fc.constantFrom('development', 'production'),
  store: fc.constantFrom<Choices['store']>({ kind: 'embedded' }, { kind: 'redis', url: 'redis://127.0.0.1:6379/1' }),
  idp: fc.option(
    fc.record({
      issuer: fc.constantFrom('https://idp.example', 'https://idp.example:8443/realms/a'),
      jwksUri: fc.constant('https://idp.example/jwks'),
      slug: word,
      user: prose,
    }),
    { nil: undefined },
  ),
  agent: fc.record({ clientId: fc.stringMatching(/^[A-Za-z0-9._~-]{1,16}$/), owner: prose }),
  server: fc.record({
    id: word,
    url: fc.constantFrom('https://mcp.example/mcp', 'http://127.0.0.1:3000/mcp'),
    tools: fc.uniqueArray(
      fc.record({
        name: fc.stringMatching(/^[A-Za-z0-9_.-]{1,12}$/).filter((name) => name !== '__proto__'),
        category: fc.constantFrom('read', 'write', 'destructive', 'admin'),
      }),
      { selector: ({ name }) => name, minLength: 1, maxLength: 4 },
    ),
  }),
})

test('whatever is answered, what init writes is right, says just that, and needs no advice', () => {
  const { registered } = newClientKey('an-agent')
  fc.assert(
    fc.property(choices, (given) => {
      const config = decodeConfig(parseYamlText(configText(given), 'errand.yaml'), 'errand.yaml', '/srv')
      expect(config).toMatchObject({
        settings: { issuer: given.issuer, environment: given.environment },
        listen: { host: '127.0.0.1', port: given.port },
        store: { kind: given.store.kind },
        registryPaths: ['/srv/registry.yaml'],
      })
      const registry = parseRegistryText(registryText(given, registered), 'registry.yaml', { issuer: given.issuer })
      const agent = registry.client(given.agent.clientId)
      expect(agent).toMatchObject({ kind: 'agent', owner: given.agent.owner, environment: given.environment })
      expect([...(registry.resource(given.server.url)?.tools.keys() ?? [])].sort()).toEqual(
        given.server.tools.map(({ name }) => name).sort(),
      )
      expect(registry.issuers).toHaveLength(given.idp === undefined ? 0 : 1)
      const { idp, server } = given
      const issuer = registry.issuers[0]
      if (idp !== undefined && issuer !== undefined) expect(registry.user(issuer, idp.user)?.sub).toBe(idp.user)
      if (server.tools.some(({ category }) => category === 'read' || category === 'write')) {
        expect(policyWarnings(registry, config.settings)).toEqual([])
      }
    }),
    { numRuns: 200 },
  )
})
