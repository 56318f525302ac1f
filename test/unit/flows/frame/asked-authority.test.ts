import { describe, expect, test } from 'vitest'
import {
  askedFrom,
  narrowTo,
  openingIntent,
  requireIntent,
  toolsByResource,
} from '../../../../src/flows/frame/asked-authority.ts'
import { intentHash } from '../../../../src/model/intent.ts'
import type { Resource } from '../../../../src/model/resource.ts'
import { CALENDAR, WIKI } from '../../../support/world.ts'
import { refusalOf } from '../../authority/refusal.ts'
import { END, reasonOf, SLACK, WAREHOUSE } from '../../sessions/fixtures.ts'
import { agentOf, DELEGATED, details, fullAuthority, here, INTENT, registry, toolsIn } from '../fixtures.ts'

const LIFE = { notAfter: END - 100, maxDepth: 0 }
const tools = (location: string, byName: object, more: object = {}) => ({
  type: 'mcp_tools',
  locations: [location],
  tools: byName,
  ...more,
})
const resourceAt = (url: string): Resource => {
  const found = registry.resource(url)
  if (found === undefined) throw new Error(url)
  return found
}

describe('the intent of a session that is being opened', () => {
  test('is what the request declares', () => {
    const { intent, explicit } = openingIntent(details(INTENT), agentOf('orchestrator').standingIntent, registry)
    expect(explicit).toBe(true)
    expect(intent.purpose).toBe('Summarise Q3 revenue and post it to #finance')
    expect([...intent.tools.keys()]).toEqual([WAREHOUSE, SLACK])
  })

  test('is the agent’s standing one where the request declares none', () => {
    const { intent, explicit } = openingIntent(undefined, agentOf('orchestrator').standingIntent, registry)
    expect(explicit).toBe(false)
    expect(intent.purpose).toBe('Keep the wiki tidy')
    expect([...intent.tools.keys()]).toEqual([WIKI])
  })

  test('is refused where there is neither', async () => {
    expect(await reasonOf(() => openingIntent(undefined, agentOf('researcher').standingIntent, registry))).toBe(
      'standing_intent_missing',
    )
  })

  test('details without an intent never fall back to the standing one', async () => {
    const onlyTools = details([tools(WIKI, { search: {} })])
    expect(await reasonOf(() => openingIntent(onlyTools, agentOf('orchestrator').standingIntent, registry))).toBe(
      'intent_missing',
    )
  })

  test('an intent without tools is for nothing', async () => {
    const onlyIntent = details([{ type: 'agent_intent', purpose: 'Just looking' }])
    expect(await reasonOf(() => openingIntent(onlyIntent, agentOf('orchestrator').standingIntent, registry))).toBe(
      'details_empty',
    )
  })

  test('is required where details must carry one', async () => {
    expect(await reasonOf(() => requireIntent(undefined))).toBe('intent_missing')
    expect(requireIntent(details(DELEGATED)).purpose).toBe('Find the Q3 revenue figures')
  })
})

describe('locations', () => {
  test('are written as registered, however the request spells them', () => {
    const spelled = details([tools('https://WAREHOUSE.example:443/mcp/', { query: {} })])
    expect([...toolsByResource(spelled, registry).keys()]).toEqual([WAREHOUSE])
  })

  test('that are not registered refuse the whole request', async () => {
    const unknown = details([tools(WAREHOUSE, { query: {} }), tools('https://evil.example/mcp', { query: {} })])
    expect(await reasonOf(() => toolsByResource(unknown, registry))).toBe('resource_unknown')
  })
})

describe('what a later hop asks for', () => {
  const held = fullAuthority()

  test('without details is all it holds, under the life given', () => {
    const { asked, explicit } = askedFrom(held, undefined, here(), LIFE)
    expect(explicit).toBe(false)
    expect(asked).toEqual({ ...held, ...LIFE })
  })

  test('with an intent but no tools is all it holds as well', () => {
    const onlyIntent = details([{ type: 'agent_intent', purpose: 'Go on' }])
    expect(askedFrom(held, onlyIntent, here(), LIFE)).toEqual({ asked: { ...held, ...LIFE }, explicit: false })
  })

  test('with details is exactly those', () => {
    const { asked, explicit } = askedFrom(held, details(DELEGATED), here(), LIFE)
    expect(explicit).toBe(true)
    expect(toolsIn(asked)).toEqual({ [WAREHOUSE]: ['query'] })
    expect(asked).toMatchObject(LIFE)
  })

  test('a resource that is registered but not held is not in the session', async () => {
    const wiki = details([tools(WIKI, { search: {} })])
    expect(await reasonOf(() => askedFrom(held, wiki, here(), LIFE))).toBe('resource_not_in_session')
  })

  test.each([
    ['another tool', { insert_rows: {} }, 'tool insert_rows'],
    ['a constraint dropped', { query: { table: { const: 'revenue' } } }, 'tool query'],
    ['all constraints dropped', { query: {} }, 'tool query'],
    ['a value added', { query: { table: { enum: ['revenue', 'salaries'] }, limit: { maximum: 1 } } }, 'tool query'],
    ['a bound raised', { query: { table: { const: 'revenue' }, limit: { maximum: 501 } } }, 'tool query'],
  ])('%s is widening, and an error: never silently less', (_what, byName, said) => {
    const asking = () => askedFrom(held, details([tools(WAREHOUSE, byName)]), here(), LIFE)
    const refusal = refusalOf(asking)
    expect(refusal.reason).toBe('details_widening')
    expect(refusal.missing.join()).toMatch(said === 'tool insert_rows' ? /scope|insert_rows/ : said)
  })

  test('a counted limit that is dropped is widening', async () => {
    const limited = new Map(held.resources)
    const warehouse = limited.get(WAREHOUSE)
    if (warehouse === undefined) throw new Error('no warehouse')
    limited.set(WAREHOUSE, { ...warehouse, limits: { maxCalls: 3 } })
    const holding = { ...held, resources: limited }
    const ask = (more: object) =>
      askedFrom(holding, details([tools(WAREHOUSE, { list_tables: {} }, more)]), here(), LIFE)
    expect(await reasonOf(() => ask({}))).toBe('details_widening')
    expect(await reasonOf(() => ask({ limits: { maxCalls: 4 } }))).toBe('details_widening')
    expect(ask({ limits: { maxCalls: 3 } }).explicit).toBe(true)
  })

  test('a longer life or a further hop than is held is widening', async () => {
    for (const life of [
      { notAfter: END + 1, maxDepth: 0 },
      { notAfter: END, maxDepth: 2 },
    ]) {
      expect(await reasonOf(() => askedFrom(held, details(DELEGATED), here(), life))).toBe('details_widening')
    }
  })

  test('a tool that its server does not have is unknown', async () => {
    const odd = details([tools(WAREHOUSE, { query_everything: {} })])
    expect(await reasonOf(() => askedFrom(held, odd, here(), LIFE))).toBe('details_unknown')
  })
})

describe('cutting to what the request names', () => {
  const held = fullAuthority()
  const cut = (resources: readonly string[], ...scopes: (readonly string[] | undefined)[]) =>
    toolsIn(narrowTo(held, { resources: resources.map(resourceAt), scopes }, registry))

  test('nothing named, nothing cut', () => {
    expect(cut([])).toEqual({ [WAREHOUSE]: ['query', 'list_tables'], [SLACK]: ['post_message'] })
    expect(cut([], undefined)).toEqual(cut([]))
  })

  test('only the resources named stay', () => {
    expect(cut([SLACK])).toEqual({ [SLACK]: ['post_message'] })
    expect(cut([SLACK, WAREHOUSE])).toEqual(cut([]))
  })

  test('a resource that is not asked for refuses, even beside one that is', async () => {
    expect(await reasonOf(() => cut([WAREHOUSE, CALENDAR]))).toBe('resource_not_in_session')
  })

  test('only tools that a scope named opens stay', () => {
    expect(cut([], ['mcp:tools:read'])).toEqual({ [WAREHOUSE]: ['query', 'list_tables'] })
    expect(cut([], ['mcp:tools:write'])).toEqual({ [SLACK]: ['post_message'] })
    expect(cut([], ['mcp:tools:read', 'mcp:tools:write', 'mcp:tools:admin'])).toEqual(cut([]))
  })

  test('several limits all hold: the request’s scope and the evidence’s ceiling', () => {
    expect(cut([], ['mcp:tools:read', 'mcp:tools:write'], ['mcp:tools:write'])).toEqual({ [SLACK]: ['post_message'] })
  })

  test('nothing left is an error that says what would have opened something', () => {
    const refusal = refusalOf(() => cut([WAREHOUSE], ['mcp:tools:write']))
    expect(refusal.reason).toBe('nothing_granted')
    expect(refusal.missing).toContain(`${WAREHOUSE} would be opened by: mcp:tools:read`)
  })

  test('an empty ceiling leaves nothing: absent authority is no authority', async () => {
    expect(await reasonOf(() => cut([], undefined, []))).toBe('nothing_granted')
  })
})

describe('the hash of an intent', () => {
  test('differs by purpose and by salt, and says neither', () => {
    const hash = intentHash('salt', 'purpose')
    expect(hash).toBe(intentHash('salt', 'purpose'))
    expect(new Set([hash, intentHash('pepper', 'purpose'), intentHash('salt', 'purpose.')]).size).toBe(3)
    expect(hash).not.toContain('purpose')
  })
})
