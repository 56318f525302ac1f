/** Authority on its way to one sub-agent: accepted once, within minutes, by that sub-agent alone. */
import type { Secret } from '../../kernel/secret.ts'
import { AgentError } from './agent-errors.ts'

/** Whoever takes it up: an agent of this process. */
export interface Accepting {
  accept(token: string): Promise<unknown>
}

/** `S`: the session that it becomes. */
export class Delegation<S> {
  /** Client id of the sub-agent. */
  readonly to: string
  /** By when it must be accepted, in seconds from now. */
  readonly acceptWithinSeconds: number
  #token: Secret | undefined

  constructor(to: string, token: Secret, acceptWithinSeconds: number) {
    this.to = to
    this.#token = token
    this.acceptWithinSeconds = acceptWithinSeconds
  }

  /** The text for the sub-agent's own process (`agent.accept`): given out once, because it can be accepted once. */
  token(): string {
    return this.#take().reveal()
  }

  /** In this process. @param agent the sub-agent, with its own credential. @throws AgentError */
  async acceptAs(agent: Accepting): Promise<S> {
    const token = this.#take()
    try {
      return (await agent.accept(token.reveal())) as S
    } catch (error) {
      this.#token = token // a refusal does not burn it
      throw error
    }
  }

  #take(): Secret {
    const token = this.#token
    if (token === undefined) throw new AgentError('this delegation was given out already: it can be accepted once')
    this.#token = undefined
    return token
  }
}
