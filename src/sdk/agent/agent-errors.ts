/**
 * What an agent is told when something is not given to it: one class per thing it can do about it. No message, cause or member
 * holds a token or a key; what others said is shown short and plain.
 */
import type { ScopeSet } from '../../protocol/scope.ts'
import type { Told } from './refusal-body.ts'

/** Everything this library throws on purpose is one of these. */
export class AgentError extends Error {
  constructor(message: string) {
    super(message)
    this.name = new.target.name
  }
}

export interface RefusalFacts {
  /** RFC 6749 §5.2 `error`. */
  readonly error: string
  /** Errand's `error_reason`: stable; the README lists them. */
  readonly reason: string | undefined
  readonly description: string
  /** What would have been needed. */
  readonly missing: readonly string[]
  /** Where an operator finds the decision. */
  readonly decisionId: string | undefined
  readonly status: number
}

/** The broker, or what this library knows it would say, refuses: asking again the same way gives the same. */
export class Refused extends AgentError {
  readonly facts: RefusalFacts
  readonly reason: string | undefined
  readonly missing: readonly string[]

  constructor(facts: RefusalFacts) {
    const { description, missing } = facts
    super(missing.length === 0 ? description : `${description} (${missing.join('; ')})`)
    this.facts = facts
    this.reason = facts.reason
    this.missing = missing
  }
}

/** Nobody could say: the broker is away or busy. What was asked for may be given later. */
export class BrokerUnavailable extends AgentError {
  readonly retryAfterSeconds: number | undefined

  constructor(message: string, retryAfterSeconds?: number) {
    super(message)
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** The enterprise's identity provider gives no ID-JAG: the user has to sign in anew, or its administrators allow less. */
export class IdpRefused extends Refused {
  /** Its issuer identifier. */
  readonly idp: string
  /** RFC 6749 §5.2, RFC 8693 §2.2.2: whether it is the server or the scope that it does not give; else it is the sign-in, or the agent. */
  readonly isOfTarget: boolean

  constructor(idp: string, facts: RefusalFacts) {
    super({ ...facts, description: `${idp} gives no ID-JAG: ${facts.description}` })
    this.idp = idp
    this.isOfTarget = facts.error === 'invalid_scope' || facts.error === 'invalid_target'
  }
}

/** Not the broker, but the enterprise's identity provider is away or busy. */
export class IdpUnavailable extends BrokerUnavailable {}

/** The session is closed, revoked, halted or over: open another for what is left to do, if its user still wants it. */
export class SessionEnded extends AgentError {
  readonly session: string
  /** The broker's `error_reason`, or `closed` where this process has closed it. */
  readonly reason: string

  constructor(session: string, reason: string, description: string) {
    super(`session ${session} has ended: ${description}`)
    this.session = session
    this.reason = reason
  }
}

export interface OutsideFacts {
  readonly resource: string
  /** What the server asks for, complete for the call. */
  readonly scopes: ScopeSet
  /** What was declared, in words. */
  readonly declared: string
  /** What the server said. */
  readonly said: string | undefined
  readonly told: Told
}

/** The call is not within what was declared: no token will open it. Declare it when the session is opened, or leave it. */
export class OutsideIntent extends AgentError {
  readonly resource: string
  readonly scopes: ScopeSet
  readonly declared: string
  /** What the server's answer has for whoever would stay within: as it spells it, bounded and plain; `{}` where it has none. */
  readonly told: Told

  constructor({ resource, scopes, declared, said, told }: OutsideFacts) {
    const asked = scopes.length === 0 ? 'more than that' : `scope ${scopes.join(' ')}`
    const because = said === undefined ? '' : `: ${said}`
    super(
      `outside the intent at ${resource}${because}. Declared is ${declared}; the server asks for ${asked}: open a session whose intent declares the tool and arguments of this call`,
    )
    this.resource = resource
    this.scopes = scopes
    this.declared = declared
    this.told = told
  }
}

/** An MCP server, what calls itself the broker, or what was brought as an ID-JAG is not what it should be: nothing was sent. */
export class NotTrusted extends AgentError {}
