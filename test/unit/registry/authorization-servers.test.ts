/** Authorization servers of others in the registry: what they may say, and what their MCP servers may not. */
import { expect, test } from 'vitest'
import { ISSUER, problemsAfter, type Raw, registryAfter } from './document.ts'

const at = 'registry.yaml: '

function withChat(document: Raw): void {
  document.authorization_servers = [
    { issuer: 'https://auth.chat.example', slug: 'chat', clients: { orchestrator: 'f53f191f9311af35' } },
  ]
  document.resources.push({
    id: 'chat',
    url: 'https://mcp.chat.example/mcp',
    owner: 'chat vendor',
    authorization_server: 'chat',
    tools: { search: { category: 'read', scope: 'chat.read' } },
  })
}

test('they are found by their issuer, with or without the slash that a URL has', () => {
  const registry = registryAfter(withChat)
  expect(registry.authorizationServer('https://auth.chat.example')).toEqual({
    issuer: 'https://auth.chat.example',
    slug: 'chat',
    clientIds: new Map([['orchestrator', 'f53f191f9311af35']]),
    idJagLifetimeSeconds: 300,
    signingAlg: 'ES256',
  })
  expect(registry.authorizationServer('https://auth.chat.example/')?.slug).toBe('chat')
  for (const other of [
    'https://auth.chat.example//',
    'https://AUTH.chat.example',
    'https://auth.chat.example/x',
    'chat',
  ]) {
    expect(registry.authorizationServer(other)).toBeUndefined()
  }
  expect(registry.resource('https://mcp.chat.example/mcp')?.authorizationServer).toBe('chat')
})

test.each<[string, (document: Raw) => void, string]>([
  [
    'the broker itself',
    (d) => (d.authorization_servers[0].issuer = `${ISSUER}/`),
    'authorization_servers[0].issuer: is the',
  ],
  [
    'the URL of an MCP server whose tokens are ours: it would take an assertion for one',
    (d) => (d.resources[0].url = 'https://auth.chat.example/'),
    'resources[0].url: is the issuer of registry.yaml: authorization_servers[0]',
  ],
  [
    'one issuer twice',
    (d) => d.authorization_servers.push({ issuer: 'https://auth.chat.example/', slug: 'again' }),
    'authorization_servers[1].issuer: already used by',
  ],
  [
    'one slug twice',
    (d) => d.authorization_servers.push({ issuer: 'https://auth2.chat.example', slug: 'chat' }),
    'authorization_servers[1].slug: already used by',
  ],
  [
    'an agent that is not registered',
    (d) => (d.authorization_servers[0].clients.nobody = 'x'),
    'authorization_servers[0].clients.nobody: no agent is named nobody',
  ],
  [
    'an assertion of an hour',
    (d) => (d.authorization_servers[0].id_jag_seconds = 3600),
    'authorization_servers[0].id_jag',
  ],
  [
    'a plain http issuer',
    (d) => (d.authorization_servers[0].issuer = 'http://a.example'),
    'authorization_servers[0].issuer',
  ],
  [
    'a resource of nobody’s',
    (d) => (d.resources.at(-1).authorization_server = 'chatt'),
    'resources[2].authorization_server: no authorization server is named chatt',
  ],
  [
    'a resource of theirs that would introspect here',
    (d) => (d.resources.at(-1).server_client = 'warehouse-server'),
    'resources[2].server_client: no token of this broker is for this server',
  ],
  [
    'a resource of theirs that would ask here whether its tokens live',
    (d) => (d.resources.at(-1).revocation_check = 'offline'),
    'resources[2].revocation_check: no token of this broker is for this server',
  ],
  [
    'a resource of theirs with a standing intent',
    (d) => (d.resources.at(-1).standing_intent = { purpose: 'x', tools: { search: {} } }),
    'resources[2].standing_intent: no token of this broker is for this server',
  ],
  [
    'a resource of theirs that would ask here before each call',
    (d) => (d.resources.at(-1).enforces = 'calls'),
    'resources[2].enforces: this broker is not asked about calls of this server',
  ],
])('refused: %s', (_what, change, start) => {
  const problems = problemsAfter((document) => {
    withChat(document)
    change(document)
  })
  expect(problems).toEqual([expect.stringContaining(at + start)])
})

test('an agent that is known by its metadata document is named by that URL here too', () => {
  const url = 'https://agents.example/report'
  const registry = registryAfter((document) => {
    withChat(document)
    document.agents.push({ client_id: url, owner: 'x', environment: 'test', client_metadata: { version: '1' } })
    document.authorization_servers[0].clients[url] = 'at-chat'
  })
  expect(registry.authorizationServers[0]?.clientIds.get(url)).toBe('at-chat')
})

test('a standing intent of a resource names tools of its own', () => {
  const problems = problemsAfter((d) => {
    d.resources[0].standing_intent = { purpose: 'x', tools: { querry: {}, query: { limit: { maximun: 1 } } } }
  })
  expect(problems).toHaveLength(2)
  expect(problems).toContainEqual(
    expect.stringContaining('standing_intent.tools.querry: no tool of warehouse is named'),
  )
  expect(problems).toContainEqual(expect.stringContaining('standing_intent.tools.query'))
})
