import { expect, test } from 'vitest'
import { ISSUER, problemsAfter, type Raw, registryAfter } from './document.ts'

const at = 'registry.yaml: '

test('the valid document has no contradiction', () => {
  expect(registryAfter(() => undefined).agents).toHaveLength(2)
})

test.each<[string, (document: Raw) => void, string]>([
  [
    'an issuer twice',
    (d) => (d.issuers[1].issuer = d.issuers[0].issuer),
    `${at}issuers[1].issuer: already used by ${at}issuers[0]`,
  ],
  [
    'users and an agent with one client id at their IdP',
    (d) => {
      d.issuers[0].user_audience = 'shared'
      d.agents[0].upstream = { [d.issuers[0].slug]: 'shared' }
    },
    `${at}issuers[0].user_audience: is also the client id of ${at}agents[0] there; register a client of its own for users`,
  ],
  [
    'a slug twice',
    (d) => d.issuers.push({ ...d.issuers[0], issuer: 'https://third.example' }),
    `${at}issuers[2].slug: already used by ${at}issuers[0]`,
  ],
  [
    'a user twice',
    (d) => d.users.push({ ...d.users[0], groups: ['admins'] }),
    `${at}users[3].sub: already used by ${at}users[0]`,
  ],
  [
    'a resource id twice',
    (d) => (d.resources[1].id = 'warehouse'),
    `${at}resources[1].id: already used by ${at}resources[0]`,
  ],
  [
    'a URL in another spelling',
    (d) => (d.resources[1].url = 'https://WAREHOUSE.example:443/mcp/'),
    `${at}resources[1].url: already used by ${at}resources[0]`,
  ],
  [
    'one client id for an agent and a service',
    (d) => (d.services[0].client_id = d.agents[1].client_id),
    `${at}agents[1].client_id: already used by ${at}services[0]`,
  ],
  ['a grant id twice', (d) => (d.grants[1].id = d.grants[0].id), `${at}grants[1].id: already used by ${at}grants[0]`],
  [
    'the broker itself as a resource',
    (d) => (d.resources[0].url = ISSUER),
    `${at}resources[0].url: belongs to the broker itself`,
  ],
  [
    'the broker API as a resource',
    (d) => (d.resources[0].url = `${ISSUER}/api`),
    `${at}resources[0].url: belongs to the broker itself`,
  ],
  [
    'the admin API in another spelling',
    (d) => (d.resources[0].url = 'https://ERRAND.example:443/admin/'),
    `${at}resources[0].url: belongs to the broker itself`,
  ],
  [
    'a URL that only matches after repair',
    (d) => (d.resources[0].url = 'https://w.example/x/../mcp'),
    `${at}resources[0].url: resource must be written in plain form`,
  ],
  [
    'the broker itself as an IdP',
    (d) => (d.issuers[0].issuer = `${ISSUER}/`),
    `${at}issuers[0].issuer: is the broker itself`,
  ],
  [
    'a user of an unknown issuer',
    (d) => (d.users[0].issuer = 'corpp'),
    `${at}users[0].issuer: no issuer is named corpp; did you mean corp?`,
  ],
  [
    'an unknown server client',
    (d) => (d.resources[0].server_client = 'nobody'),
    `${at}resources[0].server_client: no service is named nobody`,
  ],
  [
    'an agent as a server client',
    (d) => (d.resources[0].server_client = 'helper'),
    `${at}resources[0].server_client: no service is named helper`,
  ],
  [
    'a server that asks whether its tokens live, as nobody',
    (d) => {
      d.resources[0].revocation_check = 'feed'
      d.resources[0].server_client = undefined
    },
    `${at}resources[0].revocation_check: feed needs a server_client to ask as`,
  ],
  [
    'an unknown delegate',
    (d) => (d.agents[0].delegates = ['helpr']),
    `${at}agents[0].delegates[0]: no agent is named helpr; did you mean helper?`,
  ],
  [
    'a service as a delegate',
    (d) => (d.agents[0].delegates = ['warehouse-server']),
    `${at}agents[0].delegates[0]: no agent is named warehouse-server`,
  ],
  [
    'an agent as its own delegate',
    (d) => (d.agents[0].delegates = ['orchestrator']),
    `${at}agents[0].delegates: an agent cannot delegate to itself`,
  ],
  [
    'an unknown upstream issuer',
    (d) => (d.agents[0].upstream = { nowhere: 'x' }),
    `${at}agents[0].upstream.nowhere: no issuer is named nowhere`,
  ],
  [
    'an unknown server in a manifest',
    (d) => (d.agents[0].manifest[0].server = 'warehose'),
    `${at}agents[0].manifest[0].server: no resource is named warehose; did you mean warehouse?`,
  ],
  [
    'an unknown tool in a manifest',
    (d) => (d.agents[0].manifest[1].tool = 'query'),
    `${at}agents[0].manifest[1].tool: no tool of notes is named query`,
  ],
  [
    'an unknown resource in a standing intent',
    (d) => (d.agents[0].standing_intent.tools = { slack: { query: {} } }),
    `${at}agents[0].standing_intent.tools.slack: no resource is named slack`,
  ],
  [
    'an unknown tool in a standing intent',
    (d) => (d.agents[0].standing_intent.tools.warehouse.drop = {}),
    `${at}agents[0].standing_intent.tools.warehouse.drop: no tool of warehouse is named drop`,
  ],
  [
    'a grant to an unknown agent',
    (d) => (d.grants[1].principals = [{ agent: 'heper' }]),
    `${at}grants[1].principals[0].agent: no agent is named heper; did you mean helper?`,
  ],
  [
    'a grant to a service as an agent',
    (d) => (d.grants[1].principals = [{ agent: 'warehouse-server' }]),
    `${at}grants[1].principals[0].agent: no agent is named warehouse-server`,
  ],
  [
    'a grant to an owner of nothing',
    (d) => (d.grants[1].principals = [{ owner: 'bob' }]),
    `${at}grants[1].principals[0].owner: no agent's owner is named bob`,
  ],
  [
    'a grant to a user of an unknown issuer',
    (d) => (d.grants[0].principals[1].user = 'nope:alice'),
    `${at}grants[0].principals[1].user: no issuer is named nope`,
  ],
  [
    'a grant to a user who is not listed',
    (d) => (d.grants[0].principals[1].user = 'corp:mallory'),
    `${at}grants[0].principals[1].user: no listed user is named corp:mallory`,
  ],
  [
    'an unknown project',
    (d) => (d.grants[0].resources[0] = { project: 'analytic' }),
    `${at}grants[0].resources[0].project: no project is named analytic; did you mean analytics?`,
  ],
  [
    'a tool that is elsewhere in the project',
    (d) => (d.grants[0].resources[0] = { project: 'analytics', tool: 'read_note' }),
    `${at}grants[0].resources[0].tool: no tool of project analytics is named read_note`,
  ],
  [
    'a deny of a misspelt tool (it would deny nothing)',
    (d) => (d.grants[1].resources[0].tool = 'drop_tabel'),
    `${at}grants[1].resources[0].tool: no tool is named drop_tabel; did you mean drop_table?`,
  ],
])('%s is refused', (_what, change, problem) => {
  const problems = problemsAfter(change)
  expect(problems.some((line) => line.startsWith(problem))).toBe(true)
})

test('every contradiction is reported at once', () => {
  expect(
    problemsAfter((d) => {
      d.users[0].issuer = 'x'
      d.agents[0].delegates = ['y']
      d.grants[1].resources[0].tool = 'z'
    }),
  ).toEqual([
    `${at}users[0].issuer: no issuer is named x`,
    `${at}agents[0].delegates[0]: no agent is named y`,
    `${at}grants[0].principals[1].user: no listed user is named corp:alice`,
    `${at}grants[1].resources[0].tool: no tool is named z`,
  ])
})

test('a user whom an issuer vouches for need not be listed to be named', () => {
  const registry = registryAfter((d) => (d.grants[0].principals = [{ user: 'other:dave' }]))
  expect(registry.grants[0]?.principals).toEqual([{ user: 'other:dave' }])
})

test('"*" is always something', () => {
  const registry = registryAfter((d) => (d.grants[1].resources = [{ server: '*', tool: '*', project: '*' }]))
  expect(registry.grants[1]?.resources).toEqual([{ server: '*', tool: '*', project: '*' }])
})
