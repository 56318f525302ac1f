/** The page about what there is: its facts are the registry's and the store's, and it fits a terminal. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { architectureMarkdown, architectureText } from '../../../../src/cli/records/architecture-drawing.ts'
import { plainStyles } from '../../../../src/cli/terminal.ts'
import { managementToken } from '../../../support/hops.ts'
import { startIssuer, type TestIssuer } from '../../../support/issuer.ts'
import { registryDocument, startWorld, type World } from '../../../support/world.ts'

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
type Document = any

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  const document = registryDocument(idp) as Document
  const resources = document.resources.map((resource: Document) => {
    if (resource.id === 'calendar')
      return { ...resource, mode: 'personal', owner: 'user:corp:mallory', state: 'suspended' }
    if (resource.id !== 'wiki') return resource
    const review = { reviewed_on: '2026-01-31', residency: 'EU' }
    return {
      ...resource,
      sender_constraint: 'required',
      revocation_check: 'introspection',
      exposure: 'external',
      vendor_review: review,
    }
  })
  world = await startWorld({ issuer: idp, registry: { resources } })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

async function page(): Promise<Document> {
  const answer = await world.bearer('/admin/v1/report/architecture', await managementToken(world))
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body
}
const server = async (id: string) => (await page()).servers.find((one: Document) => one.id === id)

describe('the facts', () => {
  test('of a server: owner, exposure, what it holds by scope and category, what it enforces, who reaches it', async () => {
    expect(await server('warehouse')).toMatchObject({
      url: 'https://warehouse.example/mcp',
      owner: 'data-team',
      owner_standing: 'unverified',
      exposure: 'internal',
      enforces: 'arguments',
      sender_constraint: 'optional',
      revocation_check: 'offline',
      revoked_believed_seconds: 330,
      server_client: 'warehouse-server',
      scopes: [
        { scope: 'mcp:tools:read', tools: { read: 2 }, for_agents: 2 },
        { scope: 'mcp:tools:write', tools: { write: 1 }, for_agents: 1 },
        { scope: 'mcp:tools:destructive', tools: { destructive: 1 }, for_agents: 0 },
      ],
      agents: ['orchestrator', 'researcher', 'scribe'],
      granted_to: ['group finance'],
      identity_flows: ['the agent itself', 'users of corp'],
    })
    expect(await server('wiki')).toMatchObject({
      exposure: 'external',
      sender_constraint: 'required',
      revocation_check: 'introspection',
      revoked_believed_seconds: 2,
    })
  })

  test('an owner who has left is called so, and a personal server is reached by no agent’s own identity', async () => {
    expect(await server('calendar')).toMatchObject({
      owner_standing: 'left',
      state: 'suspended',
      identity_flows: ['users of corp'],
    })
  })

  test('of an agent: credentials, whose identity it brings, from whom and to whom work is passed on', async () => {
    const { agents } = await page()
    expect(agents.find((one: Document) => one.id === 'researcher')).toMatchObject({
      credentials: { private_key_jwt: 1 },
      identity_flows: ['users of corp', 'the agent itself'],
      works_on_from: ['orchestrator'],
      passes_on_to: ['scribe', 'orchestrator'],
    })
  })

  test('of the record: how many there are, the oldest, and since when none is missing', async () => {
    const before = (await page()).record
    await world.opened()
    const { record } = await page()
    expect(record.kept).toBeGreaterThan(before.kept + 1)
    const oldest = (await world.audit(500)).at(-1)
    expect([record.oldest, record.complete_since]).toEqual([oldest.at, oldest.at])
    expect(record).toMatchObject({ outboxes: 1, outbox_limit: 100_000 })
  })
})

describe('the page', () => {
  test('fits a hundred columns and says the facts', async () => {
    await world.opened()
    const text = architectureText(await page(), plainStyles)
    expect(text.split('\n').filter((line) => line.length > 100)).toEqual([])
    for (const fact of [
      'Who authorised this?',
      'yes, for everything since 20',
      'MCP servers (4)',
      'warehouse  https://warehouse.example/mcp',
      'mcp:tools:read (2 read)',
      'user:corp:mallory (HAS LEFT)',
      'active, external, shared, not certified',
      'tokens bound to a key, 300 s',
      'orchestrator, researcher, scribe',
      'group finance',
      'users (2 listed)',
    ]) {
      expect(text).toContain(fact)
    }
  })

  test('no name becomes markup of the document it is pasted into', async () => {
    const facts = await page()
    const [first, ...more] = facts.servers
    const hostile = { ...first, owner: '![x](https://evil.example/x.png) <img src=x> [a](b)\n# h' }
    const text = architectureMarkdown({ ...facts, servers: [hostile, ...more] })
    expect(text).toContain('## MCP servers (4)')
    expect(text).toContain('\\!\\[x\\](https://evil.example/x.png) \\<img src=x\\> \\[a\\](b)')
    expect(text).not.toMatch(/\n# h/)
  })
})
