/**
 * Sessions as a machine: opening, continuing, delegating, accepting, revoking, closing, killing and waiting, in any order,
 * over several sessions, agents and users of one real broker. After every step each access token ever issued is introspected
 * and compared with a model that knows the rules and nothing of the code.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { details, intent, kill, lift, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import {
  type Answer,
  claimsOf,
  ManualClock,
  registryDocument,
  startWorld,
  TYPE,
  WAREHOUSE,
  type World,
} from '../support/world.ts'
import {
  AGENTS,
  type AgentName,
  agentOf,
  type Evidence,
  Model,
  type ModelNode,
  type ModelSession,
  pairOf,
  type UserName,
  userOf,
} from './session-model.ts'

const SESSION_S = 600

let idp: TestIssuer
beforeAll(async () => {
  // The feed confirms when the clock has moved, and not a quarter of a second later.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(async () => {
  await idp.close()
  vi.useRealTimers()
})

/** Everybody may do everything and delegate to everybody, so that only sessions and revocations decide. */
function freeWorld(): Promise<World> {
  const agents = (registryDocument(idp)['agents'] as Record<string, unknown>[])
    .filter((agent) => AGENTS.includes(agent['client_id'] as AgentName))
    .map((agent) => ({
      ...agent,
      manifest: [{ server: 'warehouse' }],
      delegates: AGENTS.filter((name) => name !== agent['client_id']),
      upstream: { corp: `${agent['client_id']}-at-idp` },
    }))
  return startWorld({ issuer: idp, registry: { agents }, settings: { strictlyNarrower: false } })
}

/** What happened at all: a walk that never got anywhere proves nothing. */
const seen = new Map<string, number>()
const saw = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)

type Step = fc.AsyncCommand<Model, World>
type Pick = number
const pickOf = <T>(list: readonly T[], pick: Pick): T | undefined => list[pick % Math.max(1, list.length)]

/** The step, then the comparison of everything issued. */
abstract class Compared implements Step {
  check(_model: Readonly<Model>): boolean {
    return true
  }

  async run(model: Model, world: World): Promise<void> {
    await this.act(model, world)
    const answers = await Promise.all(model.access.map(({ token }) => world.introspect(token)))
    for (const [index, access] of model.access.entries()) {
      const active = model.isActive(access, world.now())
      saw(active ? 'seen active' : 'seen dead')
      const { holder, session } = access.node
      expect(answers[index]?.body.active, `after ${this}: ${holder} for ${session.evidence.user}`).toBe(active)
    }
  }

  abstract act(model: Model, world: World): Promise<void>
  abstract toString(): string
}

/** The broker must agree with the model on whether the request is granted; gives the token where it is. */
function agree(step: Step, answer: Answer, expected: boolean): string | undefined {
  saw(`${step.constructor.name} ${expected ? 'granted' : 'refused'}`)
  expect(answer.status, `${step}: ${JSON.stringify(answer.body)}`).toBe(expected ? 200 : 400)
  return expected ? answer.body.access_token : undefined
}

class Open extends Compared {
  readonly agent: AgentName
  readonly user: UserName
  /** Seconds since the sign-in, or the evidence of a session there already is. */
  readonly signIn: { readonly age: number } | { readonly again: Pick }

  constructor(agent: AgentName, user: UserName, signIn: Open['signIn']) {
    super()
    this.agent = agent
    this.user = user
    this.signIn = signIn
  }

  async act(model: Model, world: World): Promise<void> {
    const evidence = this.#evidence(model, world)
    const expected = model.mayOpen(evidence)
    const answer = await world.exchange(evidence.agent, {
      subject_token: evidence.text,
      subject_token_type: TYPE.id,
      requested_token_type: TYPE.session,
      authorization_details: details(
        intent({ expires_in: SESSION_S, max_depth: 3 }),
        tools(WAREHOUSE, { query: {}, list_tables: {} }),
      ),
    })
    const token = agree(this, answer, expected)
    if (token === undefined) return
    const claims = claimsOf(token)
    const notAfter = world.now() + SESSION_S
    const session: ModelSession = { id: claims['sid'] as string, evidence, notAfter, ended: false }
    model.tick += 1
    model.sessions.push(session)
    model.nodes.push({
      id: (claims['anc'] as string[])[0] ?? '',
      session,
      parent: undefined,
      holder: evidence.agent,
      depth: 3,
      notAfter,
      offer: undefined,
      handle: { token, tick: model.tick },
      revoked: false,
    })
  }

  #evidence(model: Model, world: World): Evidence {
    const again = 'again' in this.signIn ? pickOf(model.sessions, this.signIn.again) : undefined
    if (again !== undefined) return again.evidence
    const signedInAt = world.now() - ('age' in this.signIn ? this.signIn.age : 0)
    const claims = {
      sub: this.user,
      aud: `${this.agent}-at-idp`,
      auth_time: signedInAt,
      exp: world.now() + 36_000,
      jti: `evidence-${model.tick}-${model.sessions.length}`,
    }
    return { text: world.idToken(claims), user: this.user, agent: this.agent, signedInAt, blocked: false }
  }

  toString = () => `${this.agent} opens for ${this.user} (${JSON.stringify(this.signIn)})`
}

/** A step with one of the nodes there are, whatever has become of it. */
abstract class WithNode extends Compared {
  readonly pick: Pick

  constructor(pick: Pick) {
    super()
    this.pick = pick
  }

  override check(model: Readonly<Model>): boolean {
    return this.nodes(model).length > 0
  }

  nodes(model: Readonly<Model>): readonly ModelNode[] {
    return model.nodes.filter(({ handle }) => handle !== undefined)
  }

  async act(model: Model, world: World): Promise<void> {
    const node = pickOf(this.nodes(model), this.pick)
    if (node !== undefined) await this.actOn(node, model, world)
  }

  abstract actOn(node: ModelNode, model: Model, world: World): Promise<void>
  toString = () => `${this.constructor.name} ${this.pick}`
}

class Continue extends WithNode {
  async actOn(node: ModelNode, model: Model, world: World): Promise<void> {
    const expected = model.mayUse(node, world.now())
    const token = agree(this, await world.continue(node.handle?.token ?? '', {}, node.holder), expected)
    if (token === undefined) return
    model.tick += 1
    const until = Math.min(world.now() + 300, node.notAfter)
    model.access.push({ token, node, tick: model.tick, until, revoked: false })
  }
}

class Delegate extends WithNode {
  readonly to: AgentName

  constructor(pick: Pick, to: AgentName) {
    super(pick)
    this.to = to
  }

  async actOn(node: ModelNode, model: Model, world: World): Promise<void> {
    if (this.to === node.holder) return
    const expected = model.mayDelegate(node, this.to, world.now())
    const asking = {
      audience: this.to,
      authorization_details: details(intent({ max_depth: Math.max(0, node.depth - 1) })),
    }
    const token = agree(this, await world.delegate(node.handle?.token ?? '', asking, node.holder), expected)
    if (token === undefined) return
    model.tick += 1
    model.nodes.push({
      id: claimsOf(token)['jti'] as string,
      session: node.session,
      parent: node,
      holder: this.to,
      depth: node.depth - 1,
      notAfter: node.notAfter,
      offer: { token, until: Math.min(world.now() + 120, node.notAfter), tick: model.tick },
      handle: undefined,
      revoked: false,
    })
  }
}

class Accept extends WithNode {
  override nodes(model: Readonly<Model>): readonly ModelNode[] {
    return model.nodes.filter(({ offer }) => offer !== undefined)
  }

  async actOn(node: ModelNode, model: Model, world: World): Promise<void> {
    const expected = model.mayAccept(node, world.now())
    const token = agree(this, await world.accept(node.offer?.token ?? '', {}, node.holder), expected)
    if (token === undefined) return
    model.tick += 1
    node.handle = { token, tick: model.tick }
  }
}

class RevokeHandle extends WithNode {
  async actOn(node: ModelNode, model: Model, world: World): Promise<void> {
    const answer = await world.revoke(node.handle?.token ?? '', node.holder)
    expect(answer.status).toBe(200)
    saw('RevokeHandle')
    if (node.parent === undefined) node.session.ended = true
    else node.revoked = true
    model.tick += 1
  }
}

class RevokeDelegation extends WithNode {
  override nodes(model: Readonly<Model>): readonly ModelNode[] {
    return model.nodes.filter(({ offer }) => offer !== undefined)
  }

  async actOn(node: ModelNode, model: Model, world: World): Promise<void> {
    const { offer, parent } = node
    if (offer === undefined || parent === undefined) return
    expect((await world.revoke(offer.token, parent.holder)).status).toBe(200)
    saw('RevokeDelegation')
    // Also when nobody could accept it any more: what was accepted from it ends by the same word.
    node.revoked = true
    model.tick += 1
  }
}

class RevokeAccess extends Compared {
  readonly pick: Pick

  constructor(pick: Pick) {
    super()
    this.pick = pick
  }

  async act(model: Model, world: World): Promise<void> {
    const access = pickOf(model.access, this.pick)
    if (access === undefined) return
    expect((await world.revoke(access.token, access.node.holder)).status).toBe(200)
    saw('RevokeAccess')
    access.revoked = true
    model.tick += 1
  }

  toString = () => `RevokeAccess ${this.pick}`
}

class Close extends WithNode {
  async actOn(node: ModelNode, model: Model, world: World): Promise<void> {
    const { session } = node
    if (model.hasStandingBlock(agentOf(session.evidence.agent))) return
    const api = await world.apiToken(session.evidence.agent)
    const answer = await world.bearer(`/sessions/${session.id}`, api, 'DELETE')
    if (world.now() >= session.notAfter) return
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    saw('Close')
    session.ended = true
    model.tick += 1
  }
}

class UserRevokes extends WithNode {
  async actOn(node: ModelNode, model: Model, world: World): Promise<void> {
    const { session } = node
    const { user } = session.evidence
    const signedInAt = world.now()
    const isHeard = model.mayOpen({ text: '', user, agent: 'nobody' as AgentName, signedInAt, blocked: false })
    if (!isHeard || world.now() >= session.notAfter) return
    const path = node.parent === undefined ? '' : `/nodes/${node.id}`
    const bearer = world.userToken(user, { auth_time: signedInAt })
    const answer = await world.bearer(`/sessions/${session.id}${path}`, bearer, 'DELETE')
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    saw(path === '' ? 'UserRevokes session' : 'UserRevokes node')
    if (path === '') session.ended = true
    else node.revoked = true
    model.leaveNoWayRound(session, node.holder, world.clock.nowMs())
  }
}

type Dimension = 'node' | 'session' | 'session_access' | 'agent' | 'user' | 'user_agent'

class Kill extends WithNode {
  readonly dimension: Dimension
  readonly block: boolean

  constructor(pick: Pick, dimension: Dimension, block: boolean) {
    super(pick)
    this.dimension = dimension
    this.block = block
  }

  override nodes(model: Readonly<Model>): readonly ModelNode[] {
    return model.nodes
  }

  async actOn(node: ModelNode, model: Model, world: World): Promise<void> {
    const { session, holder } = node
    const { user, agent: root } = session.evidence
    const isOver = world.now() >= session.notAfter
    if (isOver && ['node', 'session', 'session_access'].includes(this.dimension)) return
    const nowMs = world.clock.nowMs()
    const { block } = this
    saw(`Kill ${this.dimension}`)
    switch (this.dimension) {
      case 'node':
        await kill(world, { dimension: 'node', session: session.id, node: node.id })
        if (node.parent !== undefined) node.revoked = true
        else {
          session.ended = true
          model.leaveNoWayRound(session, root, nowMs)
        }
        break
      case 'session':
        await kill(world, { dimension: 'session', session: session.id })
        session.ended = true
        model.leaveNoWayRound(session, root, nowMs)
        break
      case 'session_access':
        await kill(world, { dimension: 'session_access', session: session.id })
        model.cut(`session_access:${session.id}`, nowMs)
        break
      case 'agent':
        await kill(world, { dimension: 'agent', agent: holder, block })
        this.#cutAndBlock(model, agentOf(holder), nowMs)
        break
      case 'user':
        await kill(world, { dimension: 'user', user: userOf(user), block })
        this.#cutAndBlock(model, userOf(user), nowMs)
        break
      case 'user_agent':
        await kill(world, { dimension: 'user_agent', user: userOf(user), agent: holder, block })
        this.#cutAndBlock(model, pairOf(user, holder), nowMs)
        break
    }
  }

  #cutAndBlock(model: Model, what: string, nowMs: number): void {
    model.cut(what, nowMs)
    if (this.block) model.block(what, Infinity)
  }

  override toString = () => `Kill ${this.dimension} of node ${this.pick}${this.block ? ', and block' : ''}`
}

class LiftAll extends Compared {
  async act(model: Model, world: World): Promise<void> {
    for (const what of model.blocks()) {
      const kind = what.includes('|') ? 'pair' : what.startsWith('user:') ? 'user' : 'agent'
      await lift(world, { kind, id: kind === 'agent' ? what.slice('agent:'.length) : what })
      model.lift(what)
      saw('LiftAll')
    }
  }

  toString = () => 'lift all blocks'
}

class Wait extends Compared {
  readonly seconds: number

  constructor(seconds: number) {
    super()
    this.seconds = seconds
  }

  async act(_model: Model, world: World): Promise<void> {
    if (world.clock instanceof ManualClock) world.clock.advance(this.seconds)
    vi.advanceTimersByTime(500)
    saw('Wait')
  }

  toString = () => `wait ${this.seconds} s`
}

const pick = fc.nat({ max: 40 })
const agent = fc.constantFrom(...AGENTS)
const user = fc.constantFrom<UserName>('alice', 'alice', 'bob')
const open = fc
  .tuple(
    agent,
    user,
    fc.oneof(
      fc.constantFrom(0, 0, 5, 120).map((age) => ({ age })),
      pick.map((again) => ({ again })),
    ),
  )
  .map((all) => new Open(...all))
const dimension = fc.constantFrom<Dimension>('node', 'session', 'session_access', 'agent', 'user', 'user_agent')

const steps: fc.Arbitrary<Step>[] = [
  open,
  open,
  pick.map((node) => new Continue(node)),
  pick.map((node) => new Continue(node)),
  fc.tuple(pick, agent).map((all) => new Delegate(...all)),
  fc.tuple(pick, agent).map((all) => new Delegate(...all)),
  pick.map((node) => new Accept(node)),
  pick.map((node) => new Accept(node)),
  pick.map((node) => new RevokeHandle(node)),
  pick.map((node) => new RevokeDelegation(node)),
  pick.map((token) => new RevokeAccess(token)),
  pick.map((node) => new Close(node)),
  pick.map((node) => new UserRevokes(node)),
  fc.tuple(pick, dimension, fc.boolean()).map((all) => new Kill(...all)),
  fc.constant(new LiftAll()),
  fc.constantFrom(1, 30, 61, 119, 301).map((seconds) => new Wait(seconds)),
]

/** Every walk begins with a tree worth cutting. */
const beginning: readonly Step[] = [
  new Open('orchestrator', 'alice', { age: 0 }),
  new Open('researcher', 'bob', { age: 5 }),
  new Delegate(0, 'researcher'),
  new Accept(0),
  new Delegate(2, 'scribe'),
  new Accept(1),
  new Continue(0),
  new Continue(1),
  new Continue(2),
  new Continue(3),
]

async function walkAlong(steps: (world: World, model: Model) => Promise<void>): Promise<void> {
  const world = await freeWorld()
  const model = new Model()
  try {
    for (const step of beginning) await step.run(model, world)
    await steps(world, model)
  } finally {
    await world.close()
  }
}

const DIMENSIONS = ['node', 'session', 'session_access', 'agent', 'user', 'user_agent'] as const

/** Each way to end something, once in the middle of the tree, with all that can be tried afterwards. */
const tours: readonly (readonly [string, ...Step[]])[] = [
  ...DIMENSIONS.flatMap((name): [string, Step][] => [
    [`an operator kills by ${name} in the middle`, new Kill(2, name, false)],
    [`an operator kills by ${name} at the root, and blocks`, new Kill(0, name, true)],
  ]),
  ['a holder revokes its handle', new RevokeHandle(2)],
  ['a delegator revokes its delegation', new RevokeDelegation(0)],
  ['a delegator revokes its delegation when its window is over', new Wait(121), new RevokeDelegation(0)],
  ['an access token is revoked', new RevokeAccess(3)],
  ['the agent closes its session', new Close(0)],
  ['the user revokes the session', new UserRevokes(0)],
  ['the user revokes one node', new UserRevokes(2)],
  ['all of it comes to its end', new Wait(SESSION_S)],
]

test.each(tours.map(([what, ...ending]) => [what, ending] as const))('%s', async (_what, ending) => {
  await walkAlong(async (world, model) => {
    const offered = new Delegate(0, 'scribe')
    const again = new Open('orchestrator', 'alice', { again: 0 })
    const everything = [0, 1, 2, 3, 4].flatMap((node) => [
      new Continue(node),
      new Delegate(node, 'scribe'),
      new Accept(node),
    ])
    for (const step of [offered, ...ending, ...everything, again, ...everything]) await step.run(model, world)
    for (const step of [new Wait(121), new LiftAll(), new Open('orchestrator', 'alice', { age: 0 }), ...everything]) {
      await step.run(model, world)
    }
  })
})

test('whatever is done in whatever order, exactly those tokens are active that the rules leave alive', async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(steps, { maxCommands: 40, size: 'max' }), (commands) =>
      walkAlong(async (real, model) => fc.asyncModelRun(() => ({ model, real }), commands)),
    ),
    { numRuns: 60, interruptAfterTimeLimit: 10_000, markInterruptAsFailure: false },
  )
})

test('the walks above went everywhere: each flow was granted and refused, each way to end was taken', () => {
  const flows = ['Open', 'Continue', 'Delegate', 'Accept'].flatMap((flow) => [`${flow} granted`, `${flow} refused`])
  const ends = ['RevokeHandle', 'RevokeDelegation', 'RevokeAccess', 'Close', 'UserRevokes session', 'UserRevokes node']
  const kills = DIMENSIONS.map((name) => `Kill ${name}`)
  for (const what of [...flows, ...ends, ...kills, 'LiftAll', 'Wait', 'seen active', 'seen dead']) {
    expect(seen.get(what) ?? 0, what).toBeGreaterThan(0)
  }
})
