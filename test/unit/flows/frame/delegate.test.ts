import { describe, expect, test } from 'vitest'
import { frameDelegate } from '../../../../src/flows/frame/delegate.ts'
import type { ExchangeRequest } from '../../../../src/flows/token-request.ts'
import type { NodeId } from '../../../../src/kernel/ids.ts'
import { intentHash } from '../../../../src/model/intent.ts'
import { TOKEN_TYPE } from '../../../../src/protocol/oauth.ts'
import { decodeNode } from '../../../../src/sessions/record-text.ts'
import { offerDelegation } from '../../../../src/sessions/session-commits.ts'
import { ALICE, actor, CHILD, child, END, NOW, ROOT, reasonOf, SLACK, WAREHOUSE } from '../../sessions/fixtures.ts'
import { SETTINGS } from '../../tokens/fixtures.ts'
import {
  agentOf,
  DELEGATED,
  details,
  exchange,
  fullAuthority,
  handleEvidence,
  input,
  issueFor,
  liveRoot,
  party,
  permitFor,
  type Raw,
  registry,
  registryWith,
  toolsIn,
} from '../fixtures.ts'

const intent = (more: object = {}) => ({ type: 'agent_intent', purpose: 'Find the Q3 revenue figures', ...more })
const withIntent = (more: object) => ({ details: details([intent(more), ...DELEGATED.slice(1)]) })

function frame(request: Partial<ExchangeRequest> = {}, live = liveRoot(), over: object = {}) {
  const asked = { requested: TOKEN_TYPE.delegation, audiences: ['researcher'], details: details(DELEGATED), ...request }
  return frameDelegate(input({ request: exchange(asked), evidence: handleEvidence(), live, ...over }))
}

describe('the question', () => {
  test('is about the sub-agent, bounded by what the delegator holds and by the session', () => {
    const live = liveRoot()
    const { event, question } = frame({}, live)
    expect(event).toBe('delegation.issue')
    expect(question).toMatchObject({ subject: ALICE, user: { sub: 'alice' }, target: undefined, askedExplicitly: true })
    expect(question.agent).toBe(agentOf('researcher'))
    expect(question.chain).toEqual([agentOf('orchestrator')])
    expect(question.parent).toBe(live.node.authority)
    expect(question.ceiling).toBe(live.facts.ceiling)
    expect(toolsIn(question.asked)).toEqual({ [WAREHOUSE]: ['query'] })
  })

  test('is narrowed by resource and scope too', () => {
    const everything = { details: details([intent()]) }
    expect(toolsIn(frame({ ...everything, resources: [SLACK] }).question.asked)).toEqual({ [SLACK]: ['post_message'] })
    const read = frame({ ...everything, scope: ['mcp:tools:read'] }).question
    expect(toolsIn(read.asked)).toEqual({ [WAREHOUSE]: ['query', 'list_tables'] })
    expect(read.askedExplicitly).toBe(false)
  })

  test('ends as early as asked, never after the delegator', () => {
    const end = (more: object, node = END) =>
      frame(withIntent(more), liveRoot({ node: { notAfter: node } })).question.asked.notAfter
    expect(end({})).toBe(END)
    expect(end({ expires_in: 30 })).toBe(NOW + 30)
    expect(end({ expires_in: 999_999 })).toBe(END)
    expect(end({}, NOW + 40)).toBe(NOW + 40)
  })

  test('without an end asked for, ends with the configured life of a session', () => {
    const settings = { ...SETTINGS, sessionSeconds: 25 }
    expect(frame({}, liveRoot(), { settings }).question.asked.notAfter).toBe(NOW + 25)
  })
})

describe('depth', () => {
  const depth = (held: number, more: object = {}) =>
    frame(withIntent(more), liveRoot({ held: fullAuthority({ maxDepth: held }) })).question.asked.maxDepth

  test('delegating uses up a hop: the sub-agent may pass nothing on unless that is granted', () => {
    expect(depth(1)).toBe(0)
    expect(depth(3)).toBe(0)
    expect(depth(3, { max_depth: 0 })).toBe(0)
    expect(depth(3, { max_depth: 2 })).toBe(2)
  })

  test('more hops than are left cannot be granted', async () => {
    expect(await reasonOf(() => depth(3, { max_depth: 3 }))).toBe('delegation_depth_exceeded')
    expect(await reasonOf(() => depth(1, { max_depth: 1 }))).toBe('delegation_depth_exceeded')
  })

  test('authority without a hop left is not passed on', async () => {
    expect(await reasonOf(() => depth(0))).toBe('delegation_depth_exceeded')
    expect(await reasonOf(() => depth(0, { max_depth: 0 }))).toBe('delegation_depth_exceeded')
  })
})

describe('the sub-agent', () => {
  test.each([
    ['none named', [], 'target_missing'],
    ['two named', ['researcher', 'orchestrator-twin'], 'target_ambiguous'],
    ['an unknown client', ['nobody'], 'delegate_unknown'],
    ['a service', ['warehouse-server'], 'delegate_unknown'],
    ['an agent it may not use', ['scribe'], 'delegate_not_allowed'],
  ] as const)('%s', async (_what, audiences, reason) => {
    expect(await reasonOf(() => frame({ audiences }))).toBe(reason)
  })

  test.each(['suspended', 'retired'])('one that is %s cannot be delegated to', async (state) => {
    const changed = registryWith((document: Raw) => {
      document.agents.find((agent: Raw) => agent.client_id === 'researcher').state = state
    })
    const over = { registry: changed, party: party('orchestrator', changed) }
    expect(await reasonOf(() => frame({}, liveRoot(), over))).toBe('delegate_not_allowed')
  })

  test('one that is in the chain already would lead authority round the narrowing between', async () => {
    const live = liveRoot({ node: { act: actor('researcher', 'orchestrator') } })
    const back = { audiences: ['orchestrator'] }
    expect(await reasonOf(() => frame(back, live, { party: party('researcher') }))).toBe('actor_chain_cycle')
  })

  test('one that the session is about cannot act on behalf of itself', async () => {
    const subject = { principal: 'agent:researcher', profile: 'ai_agent', user: undefined }
    const live = liveRoot({ facts: { subject }, node: { act: undefined } })
    expect(await reasonOf(() => frame({}, live))).toBe('actor_chain_cycle')
  })

  test('a chain that would be too deep is refused, not cut', async () => {
    const settings = { ...SETTINGS, maxChainDepth: 1 }
    expect(await reasonOf(() => frame({}, liveRoot(), { settings }))).toBe('actor_chain_too_deep')
  })
})

describe('refused', () => {
  test('without an intent of its own', async () => {
    expect(await reasonOf(() => frame({ details: undefined }))).toBe('intent_missing')
    expect(await reasonOf(() => frame({ details: details(DELEGATED.slice(1)) }))).toBe('intent_missing')
  })

  test('for more than the delegator holds', async () => {
    const wide = details([intent(), { type: 'mcp_tools', locations: [WAREHOUSE], tools: { query: {} } }])
    expect(await reasonOf(() => frame({ details: wide }))).toBe('details_widening')
  })

  test('for a resource outside the session', async () => {
    expect(await reasonOf(() => frame({ resources: ['https://wiki.example/mcp'] }))).toBe('resource_not_in_session')
  })

  test('for a user who has been made inactive since', async () => {
    const changed = registryWith((document: Raw) => {
      document.users[0].active = false
    })
    expect(await reasonOf(() => frame({}, liveRoot(), { registry: changed }))).toBe('user_inactive')
  })
})

describe('strictly narrower', () => {
  const held = fullAuthority()
  const issueAll = (settings = SETTINGS, effective = { ...held, notAfter: END - 1, maxDepth: 0 }) => {
    const framed = frame({}, liveRoot({ held }), { settings })
    return framed.issue({ ...permitFor(framed), effective })
  }

  test('is judged by what was permitted: all of it, only shorter and without a hop, is not less', async () => {
    expect(await reasonOf(() => issueAll())).toBe('delegation_not_narrower')
  })

  test('one tool, one resource or one tighter constraint less is enough', () => {
    const resources = new Map(held.resources)
    resources.delete(SLACK)
    expect(issueAll(SETTINGS, { ...held, resources, maxDepth: 0 }).mint.kind).toBe('delegation')
  })

  test('more than is held is never narrower, though other things were left out', async () => {
    const wider = fullAuthority({ notAfter: END + 1, maxDepth: 0 })
    const resources = new Map(wider.resources)
    resources.delete(SLACK)
    expect(await reasonOf(() => issueAll(SETTINGS, { ...wider, resources }))).toBe('delegation_not_narrower')
  })

  test('can be switched off', () => {
    expect(issueAll({ ...SETTINGS, strictlyNarrower: false }).mint.kind).toBe('delegation')
  })
})

describe('what is issued', () => {
  test('a delegation token for the sub-agent alone, whose id is the node it becomes', () => {
    const live = liveRoot()
    const framed = frame({ ...withIntent({ origin: { type: 'agent_plan', ref: 'step-2' } }), instance: 'pod-7' }, live)
    const { mint, order, change, indexes } = issueFor(framed)
    if (mint.kind !== 'delegation') throw new Error(mint.kind)
    const operation = change.operations[0]
    if (operation?.operation !== 'set') throw new Error('no node written')
    expect(operation.field).toBe(`d:${mint.jti}`)
    const delegated = decodeNode(operation.value, mint.jti as string as NodeId, live.facts.intentSalt)
    expect(delegated).toMatchObject({
      id: mint.jti,
      parent: ROOT,
      holder: 'researcher',
      agentVersion: '',
      act: actor('researcher', 'orchestrator'),
      purpose: 'Find the Q3 revenue figures',
      // Whatever the delegator says of it, an accepted delegation came from an upstream agent.
      origin: { type: 'upstream_agent', ref: 'step-2', assertedBy: 'agent:orchestrator' },
      intentHash: intentHash(live.facts.intentSalt, 'Find the Q3 revenue figures'),
      createdAt: NOW,
      notAfter: END,
    })
    expect(order).toMatchObject({ audience: 'researcher', rv: 41, parentHash: 'hash-of-parent', instance: 'pod-7' })
    expect(toolsIn(order.authority)).toEqual({ [WAREHOUSE]: ['query'] })
    expect(delegated.authority).toEqual(order.authority)
    // The sub-agent finds what it was offered.
    expect(indexes).toEqual(['sessions:agent:researcher'])
  })

  test('speaks of the delegator as its actor, not yet of the sub-agent', () => {
    const { holder } = issueFor(frame()).order
    expect(holder.node.holder).toBe('orchestrator')
    expect(holder.node.act).toEqual(actor('orchestrator'))
    expect(holder.path).toEqual([ROOT])
    expect(holder.node.purpose).toBe('Find the Q3 revenue figures')
  })

  test('of autonomous work has no actor of its own, and puts the sub-agent first in the chain', () => {
    const subject = { principal: 'agent:orchestrator', profile: 'ai_agent', user: undefined }
    const framed = frame({}, liveRoot({ facts: { subject }, node: { act: undefined } }))
    const permit = { ...permitFor(frame()), effective: framed.question.asked }
    const { order, change } = framed.issue(permit)
    expect(order.holder.node.act).toBeUndefined()
    const operation = change.operations[0]
    if (operation?.operation !== 'set') throw new Error('no node written')
    const delegated = decodeNode(operation.value, 'jti_any' as NodeId, liveRoot().facts.intentSalt)
    expect(delegated.act).toEqual(actor('researcher'))
  })

  test('may be accepted within the accept window, or until its authority ends if that is sooner', () => {
    expect(issueFor(frame()).order.expiresAt).toBe(NOW + SETTINGS.delegationAcceptSeconds)
    expect(issueFor(frame(withIntent({ expires_in: 30 }))).order.expiresAt).toBe(NOW + 30)
  })

  test('re-checks the whole path of the delegator', () => {
    const live = liveRoot({ node: child({ authority: fullAuthority() }) })
    const node = { ...live.node, act: actor('orchestrator') }
    const evidence = handleEvidence({ path: [ROOT, CHILD] })
    const { change, mint } = issueFor(frame({}, { ...live, node }, { evidence }))
    const expected = offerDelegation(live, [ROOT, CHILD], child({ id: 'x' as never }), NOW)
    const fields = (checks: typeof change.checks) => checks.map(({ check }) => check.field)
    const id = mint.kind === 'delegation' ? mint.jti : ''
    expect(fields(change.checks)).toEqual(fields(expected.checks).map((field) => (field === 'd:x' ? `d:${id}` : field)))
  })

  test('two delegations never share an id', () => {
    const ids = [issueFor(frame()), issueFor(frame())].map(({ mint }) => (mint.kind === 'delegation' ? mint.jti : ''))
    expect(new Set(ids).size).toBe(2)
  })
})

test('the registry of these tests lets the orchestrator use the researcher', () => {
  expect(registry.client('orchestrator')).toMatchObject({ delegates: ['researcher', 'orchestrator-twin'] })
})
