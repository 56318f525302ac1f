/**
 * Whatever is declared, whatever stands in the manifests of the servers on the way and whatever is asked for: what a server is given
 * for the next one is allowed by all of them at once, and ends with the token it was called with.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ToolConstraints } from '../../src/authority/authority.ts'
import { argumentsRefusal, parseToolConstraints } from '../../src/authority/constraints.ts'
import { frameDownstream } from '../../src/flows/frame/downstream.ts'
import type { ClientId, NodeId, ResourceUrl } from '../../src/kernel/ids.ts'
import { Rejection } from '../../src/kernel/rejection.ts'
import type { Service } from '../../src/model/client.ts'
import type { InboundEvidence } from '../../src/model/evidence.ts'
import { decide } from '../../src/policy/decide.ts'
import { scopeSet } from '../../src/protocol/scope.ts'
import { details, exchange, fullAuthority, input, liveRoot, registryWith } from '../unit/flows/fixtures.ts'
import { ALICE, actor, ISSUER, NOW, ROOT, SESSION, SLACK, WAREHOUSE } from '../unit/sessions/fixtures.ts'

const TOOLS = ['post_message', 'list_channels'] as const
const CHANNELS = ['#finance', '#ops', '#all']

const channels = fc.subarray(CHANNELS, { minLength: 1 })
/** Constraints of one rule: none, a channel of some, a text of so many characters; any argument beside them or none. */
const constraints = fc.oneof(
  fc.constant(undefined),
  fc.record({ channel: channels.map((some) => ({ enum: some })), text: fc.constant({}) }),
  fc.record({ channel: fc.constant({}), text: fc.nat({ max: 8 }).map((most) => ({ maxLength: most })) }),
)
const rules = fc.array(fc.record({ tool: fc.constantFrom(...TOOLS, '*'), constraints }), { maxLength: 3 })
const wanted = fc.dictionary(fc.constantFrom(...TOOLS), constraints, { minKeys: 1 })

const rawRule = ({ tool, constraints: some }: { tool: string; constraints: object | undefined }) => ({
  server: 'slack',
  ...(tool === '*' ? {} : { tool }),
  ...(some === undefined ? {} : { constraints: some }),
})

test('never more than the hop above, the agent, and every server on the way', () => {
  let issued = 0
  const property = fc.property(
    fc.record({
      intent: wanted,
      mine: rules,
      before: fc.option(rules, { nil: undefined }),
      agent: rules,
      asked: fc.option(wanted, { nil: undefined }),
      life: fc.integer({ min: 1, max: 900 }),
      call: fc.record({
        tool: fc.constantFrom(...TOOLS),
        channel: fc.constantFrom(...CHANNELS),
        length: fc.nat({ max: 10 }),
      }),
    }),
    ({ intent, mine, before, agent, asked, life, call }) => {
      const registry = registryWith((document) => {
        const service = (id: string) => document.services.find((one: { client_id: string }) => one.client_id === id)
        service('warehouse-server').manifest = mine.map(rawRule)
        service('wiki-server').manifest = (before ?? []).map(rawRule)
        const orchestrator = document.agents.find((one: { client_id: string }) => one.client_id === 'orchestrator')
        orchestrator.manifest = [{ server: 'warehouse' }, ...agent.map(rawRule)]
      })
      const server = registry.client('warehouse-server') as Service
      const declared = (tools: object) => details([{ type: 'mcp_tools', locations: [SLACK], tools: plain(tools) }])
      const held = withTools(declared(intent).tools.get(SLACK)?.tools ?? new Map(), registry)
      const live = liveRoot({ held, facts: { ceiling: held } })
      const chain =
        before === undefined
          ? actor('orchestrator')
          : { iss: ISSUER, sub: 'service:wiki-server', sub_profile: 'service', act: actor('orchestrator') }
      const evidence = {
        kind: 'access',
        jti: 'jti_inbound',
        session: SESSION,
        path: [ROOT],
        clientId: (before === undefined ? 'orchestrator' : 'wiki-server') as ClientId,
        subject: ALICE,
        act: chain,
        versions: ['orchestrator|1'],
        rv: 1,
        issuedAt: NOW - 5,
        expiresAt: NOW + life,
        signingInputHash: 'hash',
        digest: 'digest',
        claims: {},
        audience: WAREHOUSE,
        confirmation: undefined,
        agent: { id: 'orchestrator' as ClientId, version: '1' },
      } as unknown as InboundEvidence
      const verified = { client: server, version: '1' } as never
      const proven = { keys: [], certificate: undefined, singleUse: undefined } as never
      const request = exchange({ resources: [SLACK], details: asked === undefined ? undefined : declared(asked) })
      const framed = orRefused(() =>
        frameDownstream({
          ...input({ request, evidence, live, registry }),
          party: { server, verified, proven },
        } as never),
      )
      if (framed === undefined) return
      const decision = decide(registry, framed.question)
      if (decision.outcome === 'deny') return
      const { order, change } = framed.issue(decision)
      issued += 1
      expect(order.expiresAt).toBeLessThanOrEqual(NOW + life)
      expect([...order.authority.resources.keys()]).toEqual([SLACK])
      expect(order.holder.path).toEqual([ROOT, 'jti_inbound' as NodeId])
      expect(change.session).toBe(SESSION)
      const given = order.authority.resources.get(SLACK as ResourceUrl)?.tools ?? new Map()
      const args = { channel: call.channel, text: 'x'.repeat(call.length) }
      const passes = (rule: object | undefined) =>
        argumentsRefusal(parseToolConstraints(rule ?? {}, 'rule'), args) === undefined
      const byAll = (list: readonly { tool: string; constraints: object | undefined }[]) => {
        const reaching = list.filter(({ tool }) => tool === '*' || tool === call.tool)
        return reaching.length > 0 && reaching.every((one) => passes(one.constraints))
      }
      const allowed = given.has(call.tool) && argumentsRefusal(given.get(call.tool) ?? new Map(), args) === undefined
      if (!allowed) return
      expect(Object.hasOwn(intent, call.tool) && passes(intent[call.tool])).toBe(true)
      expect([byAll(mine), byAll(agent), before === undefined || byAll(before)]).toEqual([true, true, true])
      if (asked !== undefined) expect(Object.hasOwn(asked, call.tool) && passes(asked[call.tool])).toBe(true)
    },
  )
  fc.assert(property, { numRuns: 800 })
  // Else nothing was looked at.
  expect(issued).toBeGreaterThan(20)
})

const plain = (tools: object) => Object.fromEntries(Object.entries(tools).map(([name, rule]) => [name, rule ?? {}]))

function withTools(tools: ReadonlyMap<string, ToolConstraints>, registry: ReturnType<typeof registryWith>) {
  const base = fullAuthority({}, registry)
  const known = registry.resource(SLACK)
  const scopes = [...new Set([...tools.keys()].flatMap((name) => known?.tools.get(name)?.scope ?? []))]
  return { ...base, resources: new Map([[SLACK as ResourceUrl, { scopes: scopeSet(scopes), tools, limits: {} }]]) }
}

function orRefused<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof Rejection) return undefined
    throw error
  }
}
