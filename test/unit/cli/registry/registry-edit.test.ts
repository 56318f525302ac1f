import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { UsageError } from '../../../../src/cli/failures.ts'
import { addAgent, addService, type NewAgent } from '../../../../src/cli/registry/registry-edit.ts'
import { ConfigurationError, parseYamlText } from '../../../../src/registry/strict-document.ts'

const AGENT: NewAgent = {
  client_id: 'new-agent',
  owner: 'Bob: the "builder" #1',
  environment: 'development',
  keys: [{ kid: 'new-agent-1', version: '1', kty: 'EC', crv: 'P-256', alg: 'ES256', x: '1e5', y: 'true' }],
  grant_types: ['token-exchange'],
  manifest: [{ server: 'warehouse', tool: 'query' }, { server: 'slack' }],
  upstream: { corp: 'new-app' },
}
const SERVICE = {
  client_id: 'new-server',
  keys: [{ kid: 'new-server-1', version: '1', kty: 'EC', crv: 'P-256', alg: 'ES256', x: '1e5', y: 'true' }],
}
const EXAMPLE = readFileSync(join(import.meta.dirname, '../../../../deploy/example/registry.yaml'), 'utf8')

const read = (text: string) => parseYamlText(text, 'registry.yaml') as { agents: unknown[] }

describe('an agent added to a registry', () => {
  test('leaves every line that was there, comments and layout included', () => {
    const edited = addAgent(EXAMPLE, 'registry.yaml', AGENT)
    const added = new Set(edited.split('\n').filter((line) => line.includes('new-agent') || line.includes('builder')))
    expect(added.size).toBeGreaterThan(0)
    const before = EXAMPLE.split('\n')
    const after = edited.split('\n')
    const start = after.findIndex((line, index) => line !== before[index])
    const more = after.length - before.length
    expect([...after.slice(0, start), ...after.slice(start + more)]).toEqual(before)
    expect(read(edited).agents.at(-1)).toEqual(AGENT)
    expect(edited.indexOf('new-agent')).toBeLessThan(edited.indexOf('# --- Grants'))
  })

  test.each([
    ['nothing', ''],
    ['an empty list', 'agents: []\n'],
    ['a name without a list', 'agents:\nusers: []\n'],
    ['other sections only', '# a comment\nusers: [] # another\n'],
    ['JSON', '{"users": [], "agents": [{"client_id": "z"}]}'],
    ['one flow entry', 'agents: [{ client_id: z }] # why\n'],
    ['no indentation', 'agents:\n- client_id: z # c\n  owner: o\n  # trailing\n# end\nusers: []\n'],
    ['deep indentation and no last line end', 'agents:\n    -   client_id: z\n        manifest: [{ server: a }]'],
    ['a block text at the end', 'agents:\n  - client_id: z\n    owner: |\n      o\n      p\n\nusers: []\n'],
    ['a nested list at the end', 'agents:\n  - client_id: z\n    manifest:\n      - server: a\n        tool: b\n'],
    ['an empty value at the end', 'agents:\n  - client_id: z\n    manifest:\ngrants: []\n'],
    ['Windows line ends', 'agents:\r\n  - client_id: z\r\n    owner: o\r\nusers: []\r\n'],
  ])('to %s means what was there, and the new one', (_what, text) => {
    const before = (text === '' ? {} : read(text)) as { agents?: unknown[] | null }
    const edited = addAgent(text, 'registry.yaml', AGENT)
    expect(read(edited)).toEqual({ ...before, agents: [...(before.agents ?? []), AGENT] })
    for (const comment of text.match(/# .*/g) ?? []) expect(edited).toContain(comment.trim())
  })

  test('is refused where the document is not strict YAML', () => {
    for (const text of ['agents: [', 'agents: []\nagents: []\n', 'a: &x 1\nb: *x\n']) {
      expect(() => addAgent(text, 'registry.yaml', AGENT), text).toThrow(ConfigurationError)
    }
  })

  test('twice gives both', () => {
    const twice = addAgent(addAgent(EXAMPLE, 'r', AGENT), 'r', { ...AGENT, client_id: 'another' })
    expect(read(twice).agents.slice(-2)).toEqual([AGENT, { ...AGENT, client_id: 'another' }])
  })
})

describe('a service added for a resource', () => {
  /** The lines of `after` that are not `before`'s; the others must be `before`, in order. */
  const newLines = (before: string, after: string): string[] => {
    const left = before.split('\n')
    const added = after.split('\n').filter((line) => (line === left[0] ? left.shift() === undefined : true))
    expect(left).toEqual([])
    return added.filter((line) => line !== '')
  }

  test.each([
    ['where there are services', EXAMPLE.replace('    server_client: slack-server\n', ''), 'slack'],
    ['where there are none', 'resources:\n  # which\n  - id: r # this\n    url: u\n# end\nagents: []\n', 'r'],
    ['without a last line end', 'resources:\n- url: u\n  id: r', 'r'],
  ])('leaves every line that was there, %s', (_what, text, resource) => {
    const edited = addService(text, 'registry.yaml', SERVICE, resource)
    const added = newLines(text, edited).map((line) => line.trim())
    expect(added.filter((line) => line !== 'services:')).toEqual(
      [
        'server_client: new-server',
        '- client_id: new-server',
        'keys:',
        '- { kid: new-server-1, version: "1", kty: EC, crv: P-256, alg: ES256, x: "1e5", y: "true" }',
      ].sort((a, b) => added.indexOf(a) - added.indexOf(b)),
    )
    const document = parseYamlText(edited, 'r') as { services: unknown[]; resources: Record<string, unknown>[] }
    expect(document.services.at(-1)).toEqual(SERVICE)
    expect(document.resources.find(({ id }) => id === resource)).toMatchObject({ server_client: 'new-server' })
  })

  test('one that may ask for decisions is written so, and read as it was meant', () => {
    const asking = { ...SERVICE, grant_types: ['client_credentials'], api_scopes: ['evaluate'] }
    const edited = addService(EXAMPLE.replace('    server_client: slack-server\n', ''), 'r', asking, 'slack')
    expect(edited).toContain('grant_types: [client_credentials]\n')
    expect((parseYamlText(edited, 'r') as { services: unknown[] }).services.at(-1)).toEqual(asking)
  })

  test.each([
    ['JSON', '{"resources": [{"id": "r"}]}'],
    ['a resource on one line', 'resources:\n  - { id: r, url: u } # why\nservices: []\n'],
    ['an explicit end', 'resources:\n  - id: r\n...\n'],
    ['Windows line ends', 'resources:\r\n  - id: r\r\n    url: u\r\n'],
  ])('means what was there and the new one, in %s', (_what, text) => {
    const before = parseYamlText(text, 'r') as { resources: object[] }
    const resources = [{ ...before.resources[0], server_client: 'new-server' }]
    expect(parseYamlText(addService(text, 'r', SERVICE, 'r'), 'r')).toEqual({
      ...before,
      resources,
      services: [SERVICE],
    })
  })

  test('is refused for a resource that is not there, or has one', () => {
    const add = (resource: string) => () => addService(EXAMPLE, 'r.yaml', SERVICE, resource)
    expect(add('warehous')).toThrow(new UsageError('r.yaml has no resource warehous; did you mean warehouse?'))
    expect(add('moon')).toThrow('r.yaml has no resource moon; it has warehouse, slack')
    expect(add('slack')).toThrow('has the server_client slack-server already')
  })
})
