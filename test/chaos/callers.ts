/**
 * Those who use the brokers of a run: agents that open, go on, delegate and accept at whichever broker, revoke, and try again with
 * what is dead; and the servers that verify what they bring. Whatever happens to them is kept.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BrokerProcess } from '../support/broker-process.ts'
import type { Chance } from '../support/chance.ts'
import { details, intent, tools } from '../support/hops.ts'
import type { RemoteVerifier } from '../support/remote-verifier.ts'
import { type Answer, claimsOf, INTENT, WAREHOUSE } from '../support/world.ts'
import type { Flow, Granted, Happening, Issued } from './history.ts'

export interface NamedVerifier extends RemoteVerifier {
  readonly name: string
}

export interface Stage {
  /** Those that run now. */
  readonly brokers: readonly BrokerProcess[]
  readonly verifiers: readonly NamedVerifier[]
  managementToken(): Promise<string>
  /** Milliseconds since the run began. */
  now(): number
  keep(happening: Happening): void
  readonly isOver: boolean
}

interface Held {
  readonly issued: Issued
  readonly text: string
  readonly how: Flow
  readonly client: string
}

/** Who has no answer by then goes on without one; what comes later is kept all the same. */
const PATIENCE_MS = 4_000
const DEAD_KEPT_MAX = 60
const DELEGATED = details(
  intent(),
  tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 100 } } }),
)
const DEEP = details({ ...INTENT[0], max_depth: 2 }, ...INTENT.slice(1))

export class Caller {
  readonly #stage: Stage
  readonly #chance: Chance
  /** Of sessions and tokens that were acknowledged to be revoked. */
  readonly #dead: Held[] = []

  constructor(stage: Stage, chance: Chance) {
    this.#stage = stage
    this.#chance = chance
  }

  async work(): Promise<void> {
    while (!this.#stage.isOver) {
      await this.#session()
      await sleep(5 + this.#chance.below(30))
    }
    await this.#sweep()
  }

  async #session(): Promise<void> {
    const root = await this.#ask('open', 'orchestrator', (broker) => broker.open({ authorization_details: DEEP }))
    if (root === undefined) return
    const held = [root]
    for (let n = this.#chance.below(3); n >= 0; n--) held.push(...(await this.#continued(root)))
    if (this.#chance.percent(60)) held.push(...(await this.#delegated(root)))
    if (this.#chance.percent(60)) await this.#revoke(held)
    if (this.#chance.percent(50)) await this.#tryDead()
  }

  async #continued(from: Held): Promise<Held[]> {
    const { text, client } = from
    const access = await this.#ask('continue', client, (broker) => broker.continue(text, {}, client), from)
    if (access === undefined) return []
    await this.#verify(access, this.#chance.pick(this.#stage.verifiers))
    return [access]
  }

  /** Accepted at two brokers at once: one of them may. */
  async #delegated(root: Held): Promise<Held[]> {
    const delegate = (broker: BrokerProcess) => broker.delegate(root.text, { authorization_details: DELEGATED })
    const delegation = await this.#ask('delegate', 'researcher', delegate, root)
    if (delegation === undefined) return []
    const accept = () => this.#ask('accept', 'researcher', (broker) => broker.accept(delegation.text), delegation)
    const accepted = (await Promise.all([accept(), accept()])).filter((one) => one !== undefined)
    const further = await Promise.all(accepted.map((one) => this.#continued(one)))
    return [...accepted, ...further.flat()]
  }

  async #ask(
    how: Flow,
    client: string,
    call: (broker: BrokerProcess) => Promise<Answer>,
    from?: Held,
  ): Promise<Held | undefined> {
    const broker = this.#chance.pick(this.#stage.brokers)
    const begunAt = this.#stage.now()
    let isLate = false
    const answered = call(broker).then(
      (answer) => this.#answered({ how, client, from, begunAt }, answer, isLate),
      () => this.#refused(how, begunAt, isLate, 'no_answer'),
    )
    const gone = sleep(PATIENCE_MS, 'late' as const)
    const first = await Promise.race([answered, gone])
    if (first !== 'late') return first
    this.#refused(how, begunAt, false, 'no_answer')
    isLate = true
    return undefined
  }

  #answered(
    { how, client, from, begunAt }: { how: Flow; client: string; from: Held | undefined; begunAt: number },
    { status, body }: Answer,
    isLate: boolean,
  ): Held | undefined {
    if (status !== 200) return this.#refused(how, begunAt, isLate, String(body?.error_reason ?? status))
    const { jti, sid, anc } = claimsOf(body.access_token)
    const issued: Issued = { token: String(jti), session: String(sid), nodes: anc as string[] }
    const once = how === 'accept' && from !== undefined ? { once: from.issued.token } : {}
    const parent = from === undefined ? {} : { from: from.issued.token }
    const granted: Granted = { kind: 'granted', begunAt, at: this.#stage.now(), how, ...issued, ...once, ...parent }
    this.#stage.keep(granted)
    return { issued, text: body.access_token, how, client }
  }

  #refused(how: Flow, begunAt: number, isLate: boolean, reason: string): undefined {
    if (!isLate) this.#stage.keep({ kind: 'refused', begunAt, at: this.#stage.now(), how, reason })
  }

  async #verify(held: Held, verifier: NamedVerifier): Promise<'accepted' | 'refused' | 'unavailable'> {
    const begunAt = this.#stage.now()
    const verdict = await verifier.verify(held.text)
    const at = this.#stage.now()
    this.#stage.keep({ kind: 'verified', begunAt, at, ...held.issued, verifier: verifier.name, verdict })
    return verdict
  }

  /** A session by its agent, a hop by an operator, or a token by itself: until it is acknowledged, as whoever must would. */
  async #revoke(held: readonly Held[]): Promise<void> {
    const chosen = this.#chance.pick(held)
    const byOperator = chosen.how === 'accept'
    const target =
      chosen.how === 'open' ? chosen.issued.session : byOperator ? chosen.issued.nodes.at(-1) : chosen.issued.token
    if (target === undefined) return
    for (let attempt = 0; attempt < 200 && !this.#stage.isOver; attempt++) {
      const broker = this.#chance.pick(this.#stage.brokers)
      const begunAt = this.#stage.now()
      const order = { dimension: 'node', session: chosen.issued.session, node: target }
      const call = byOperator
        ? broker.bearer('/admin/v1/revocations', await this.#stage.managementToken(), 'POST', order)
        : broker.revoke(chosen.text, chosen.client)
      const answer = await Promise.race([call.catch(() => undefined), sleep(PATIENCE_MS, undefined)])
      const at = this.#stage.now()
      if (answer?.status === 200) {
        this.#stage.keep({ kind: 'revoked', begunAt, at, target })
        await this.#watchDie(held, target)
        return
      }
      const reason = String(answer?.body?.error_reason ?? answer?.status ?? 'no_answer')
      this.#stage.keep({ kind: 'revoke_failed', begunAt, at, target, reason })
      await sleep(20)
    }
  }

  /** Every verifier is asked, again and again, until it has refused it twice. */
  async #watchDie(held: readonly Held[], target: string): Promise<void> {
    const dies = ({ issued }: Held) => [issued.token, issued.session, ...issued.nodes].includes(target)
    const dead = held.filter(dies)
    this.#dead.push(...dead)
    if (this.#dead.length > DEAD_KEPT_MAX) this.#dead.splice(0, this.#dead.length - DEAD_KEPT_MAX)
    const access = dead.find(({ how }) => how === 'continue')
    if (access === undefined) return
    const watched = this.#stage.verifiers.map(async (verifier) => {
      for (let refusals = 0, asked = 0; refusals < 2 && asked < 300; asked++) {
        if ((await this.#verify(access, verifier)) === 'refused') refusals += 1
        else await sleep(5)
      }
    })
    await Promise.all(watched)
  }

  /** What is dead is brought again: to a verifier, or to a broker for more. */
  async #tryDead(): Promise<void> {
    if (this.#dead.length === 0) return
    const held = this.#chance.pick(this.#dead)
    if (held.how === 'continue') await this.#verify(held, this.#chance.pick(this.#stage.verifiers))
    else if (held.how !== 'delegate')
      await this.#ask('continue', held.client, (broker) => broker.continue(held.text, {}, held.client), held)
  }

  /** At the end everything that was revoked is tried once more, everywhere. */
  async #sweep(): Promise<void> {
    for (const held of this.#dead) {
      if (held.how === 'continue') await Promise.all(this.#stage.verifiers.map((one) => this.#verify(held, one)))
      else await this.#ask('continue', held.client, (broker) => broker.continue(held.text, {}, held.client), held)
    }
  }
}
