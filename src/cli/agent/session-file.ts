/**
 * The session whose token is in a file, for a command that stays: when it has ended, another that was written there meanwhile is
 * gone on with. One that is for another server, or no session at all, is not.
 */
import { Rejection } from '../../kernel/rejection.ts'
import type { Secret } from '../../kernel/secret.ts'
import { canonicalResource } from '../../protocol/resource.ts'
import { type Agent, AgentError, type Session, SessionEnded } from '../../sdk/agent/agent.ts'
import type { Fetch } from '../../sdk/broker/http.ts'
import { UsageError } from '../failures.ts'
import type { Io } from '../io.ts'
import { readToken } from '../token-input.ts'

interface Held {
  readonly token: Secret
  readonly session: Session
  /** The server, as the session has it. */
  readonly resource: string
}

export class SessionFile {
  readonly #read: () => Promise<Held>
  #held: Held

  private constructor(read: () => Promise<Held>, held: Held) {
    this.#read = read
    this.#held = held
  }

  /** @param path `-`: what is piped in, once. @throws UsageError */
  static async open(agent: Agent, resource: string, path: string, io: Io): Promise<SessionFile> {
    const read = async (): Promise<Held> => {
      const token = await readToken(path, io)
      const session = resumed(agent, token, path)
      const spelled = [...session.granted.keys()].find((url) => canonical(url) === canonical(resource))
      // A server that is not in the session would be called without any token.
      if (spelled === undefined) throw new UsageError(`the session in ${path} is not for ${resource}`)
      return { token, session, resource: spelled }
    }
    return new SessionFile(read, await read())
  }

  get resource(): string {
    return this.#held.resource
  }

  /** What it is called with must be good for sending twice. */
  readonly fetch: Fetch = (input, init) => this.#within(({ session }) => session.fetch(input, init))

  headers(): Promise<Readonly<Record<string, string>>> {
    return this.#within(({ session, resource }) => session.headers(resource))
  }

  token(): Promise<unknown> {
    return this.#within(({ session, resource }) => session.token({ resource }))
  }

  async #within<T>(act: (held: Held) => Promise<T>): Promise<T> {
    const held = this.#held
    try {
      return await act(held)
    } catch (fault) {
      if (!(fault instanceof SessionEnded) || !(await this.#isReplaced(held))) throw fault
      return act(this.#held)
    }
  }

  async #isReplaced(ended: Held): Promise<boolean> {
    if (this.#held !== ended) return true // by another call
    try {
      const found = await this.#read()
      if (found.token.reveal() === ended.token.reveal()) return false
      this.#held = found
      return true
    } catch (fault) {
      if (fault instanceof UsageError) return false // half written, or not ours: that the old one has ended is what is told
      throw fault
    }
  }
}

function resumed(agent: Agent, token: Secret, path: string): Session {
  try {
    return agent.resume(token.reveal())
  } catch (fault) {
    if (fault instanceof AgentError) throw new UsageError(`${path}: ${fault.message}`)
    throw fault
  }
}

function canonical(url: string): string {
  try {
    return canonicalResource(url)
  } catch (fault) {
    if (fault instanceof Rejection) throw new UsageError(`--resource: ${fault.message}`)
    throw fault
  }
}
