/**
 * Checklist E 57, 58 as laws: random chains of up to five agents through a real broker, each hop asking for what it likes.
 * What is granted is compared with the hop before it by an evaluator written here, not by the broker's own.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokenLink, type Claims, details, intent, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { publicJwk, testKey } from '../support/keys.ts'
import { registryDocument, startWorld, WAREHOUSE, type World } from '../support/world.ts'

const CHAIN = ['orchestrator', 'orchestrator-twin', 'researcher', 'scribe', 'clerk']
const TABLES = ['revenue', 'costs', 'salaries']
const TOOLS = ['query', 'list_tables', 'insert_rows']

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  const document = registryDocument(idp)
  const [model] = document['agents'] as Record<string, unknown>[]
  const agents = CHAIN.map((id, index) => {
    const keys = [{ ...publicJwk(testKey(`${id}-key`)), version: '1' }]
    const upstream = index === 0 ? model?.['upstream'] : {}
    return { ...model, client_id: id, keys, upstream, delegates: CHAIN.slice(index + 1, index + 2) }
  })
  world = await startWorld({ issuer: idp, registry: { agents } })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

interface Wish {
  readonly tools: readonly string[]
  readonly tables: readonly string[]
  readonly rows: number
  readonly depth: number
}

/** One hop: what it leaves out of what is held, and sometimes what it asks for beyond it. */
const hop = fc.record({
  leaveOut: fc.subarray(['tool', 'table', 'rows'] as const),
  add: fc.constantFrom(undefined, undefined, undefined, undefined, 'tool', 'table', 'rows', 'depth'),
  seconds: fc.integer({ min: 60, max: 4_000 }),
  scope: fc.constantFrom(undefined, undefined, 'mcp:tools:read', 'mcp:tools:write mcp:tools:read', 'mcp:tools:admin'),
})
type Hop = typeof hop extends fc.Arbitrary<infer T> ? T : never

const FEWER_ROWS: Hop = { leaveOut: ['rows'], add: undefined, seconds: 3_000, scope: undefined }
const EVERYTHING: Wish = { tools: TOOLS, tables: TABLES, rows: 60, depth: 4 }

function wishOf(held: Wish, { leaveOut, add }: Hop): Wish {
  const first = (list: readonly string[], all: readonly string[]) =>
    all.filter((one) => !list.includes(one)).slice(0, 1)
  const less = (list: readonly string[]) => (list.length > 1 ? list.slice(0, -1) : list)
  const kept = leaveOut.includes('tool') ? less(held.tools) : held.tools
  const tables = leaveOut.includes('table') ? less(held.tables) : held.tables
  const rows = leaveOut.includes('rows') ? Math.max(10, held.rows - 10) : held.rows
  return {
    tools: add === 'tool' ? [...kept, ...first(kept, TOOLS)] : kept,
    tables: add === 'table' ? [...tables, ...first(tables, TABLES)] : tables,
    rows: add === 'rows' ? held.rows + 10 : rows,
    depth: add === 'depth' ? held.depth : held.depth - 1,
  }
}

function request(wanted: Wish, seconds: number, scope?: string) {
  const query = { table: { enum: wanted.tables }, limit: { maximum: wanted.rows } }
  const named = Object.fromEntries(wanted.tools.map((tool) => [tool, tool === 'query' ? query : {}]))
  return {
    authorization_details: details(intent({ expires_in: seconds, max_depth: wanted.depth }), tools(WAREHOUSE, named)),
    scope,
  }
}

const SCOPES: Readonly<Record<string, string>> = {
  query: 'mcp:tools:read',
  list_tables: 'mcp:tools:read',
  insert_rows: 'mcp:tools:write',
}

/** What the hop must come to, by the rules alone: what it then holds, or nothing. */
function expected(held: Wish, wanted: Wish, scope: string | undefined): Wish | undefined {
  const scopes = scope?.split(' ')
  const left = wanted.tools.filter((tool) => scopes === undefined || scopes.includes(SCOPES[tool] ?? ''))
  const hasQuery = wanted.tools.includes('query')
  const widens =
    !isSubset(wanted.tools, held.tools) ||
    (hasQuery && (!isSubset(wanted.tables, held.tables) || wanted.rows > held.rows)) ||
    wanted.depth > held.depth - 1
  const same =
    isSubset(held.tools, left) &&
    (!left.includes('query') || (isSubset(held.tables, wanted.tables) && wanted.rows === held.rows))
  return widens || same || left.length === 0 || held.depth < 1 ? undefined : { ...wanted, tools: left }
}

/** Every call there is in this small world, and whether these claims allow it. */
function allows(claims: Claims): readonly string[] {
  const granted = claims.authorization_details[0]?.tools ?? {}
  const queries = TABLES.flatMap((table) => [10, 20, 30, 40, 50, 60].map((rows) => ({ table, rows })))
  const inQuery = ({ table, rows }: { table: string; rows: number }) => {
    const { query } = granted
    const tables = query?.table?.enum ?? [query?.table?.const]
    return query !== undefined && tables.includes(table) && rows <= query.limit.maximum
  }
  return [
    ...queries.filter(inQuery).map((call) => `query ${JSON.stringify(call)}`),
    ...['list_tables', 'insert_rows'].filter((tool) => Object.hasOwn(granted, tool)),
  ]
}

const isSubset = (child: readonly string[], parent: readonly string[]) => child.every((one) => parent.includes(one))
const scopesOf = (claims: Claims): readonly string[] => claims.scope.split(' ')

test('along any chain, calls, scopes and lifetimes only shrink, the chain stays whole, and asking for more is refused', async () => {
  let longest = 0
  let refusals = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(hop, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 60, max: 4_000 }),
      async (hops, life) => {
        const opened = await world.open(request(EVERYTHING, life))
        expect(opened.status, JSON.stringify(opened.body)).toBe(200)
        const chain: string[] = [opened.body.access_token]
        let held: Wish = EVERYTHING
        for (const [index, one] of hops.entries()) {
          const [from = '', to = ''] = CHAIN.slice(index, index + 2)
          const before = claims(chain)
          const wanted = wishOf(held, one)
          const next = expected(held, wanted, one.scope)
          const asking = {
            audience: to,
            ...request({ ...wanted, depth: Math.max(0, wanted.depth) }, one.seconds, one.scope),
          }
          const offered = await world.delegate(chain.at(-1) ?? '', asking, from)
          expect(offered.status, JSON.stringify([held, wanted, one, offered.body])).toBe(next === undefined ? 400 : 200)
          if (next === undefined) {
            refusals += 1
            break
          }
          held = next
          chain.push(offered.body.access_token)
          narrower(before, claims(chain))
          const accepted = await world.accept(offered.body.access_token, {}, to)
          expect(accepted.status, JSON.stringify(accepted.body)).toBe(200)
          chain.push(accepted.body.access_token)
          narrower(before, claims(chain))
          const access = await world.continue(accepted.body.access_token, {}, to)
          expect(access.status, JSON.stringify(access.body)).toBe(200)
          narrower(claims(chain), claims([access.body.access_token]))
          expect(brokenLink([...chain, access.body.access_token])).toBeUndefined()
          longest = Math.max(longest, index + 2)
        }
      },
    ),
    { numRuns: 60, examples: [[Array<Hop>(4).fill(FEWER_ROWS), 3_000]] },
  )
  // The random walks did go to the end of the chain, and did bump into the bounds.
  expect(longest).toBe(CHAIN.length)
  expect(refusals).toBeGreaterThan(10)
})

function claims(chain: readonly string[]): Claims {
  return JSON.parse(Buffer.from(chain.at(-1)?.split('.')[1] ?? '', 'base64url').toString())
}

function narrower(parent: Claims, child: Claims): Claims {
  expect(isSubset(allows(child), allows(parent)), 'calls').toBe(true)
  expect(isSubset(scopesOf(child), scopesOf(parent)), 'scopes').toBe(true)
  expect(child.not_after, 'not_after').toBeLessThanOrEqual(parent.not_after)
  expect(child.exp, 'exp').toBeLessThanOrEqual(parent.not_after)
  expect(child.iat, 'iat').toBeGreaterThanOrEqual(parent.iat)
  expect(child.sub).toBe(parent.sub)
  expect(allows(child).length, 'never nothing').toBeGreaterThan(0)
  return child
}
