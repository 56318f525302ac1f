/**
 * What an agent says that it is thinking, told to the broker (R168): beside the session's records, and kept there as far as the
 * broker's operator has decided. With an API token of the agent's own, not with one that a server sees.
 */
import type { Ticks } from '../../kernel/clock.ts'
import { GRANT_TYPE } from '../../protocol/oauth.ts'
import { fitting } from '../broker/fitting.ts'
import { Refused } from './agent-errors.ts'
import type { DpopKey } from './dpop-key.ts'
import { tokenHeaders } from './headers.ts'
import { TokenCache } from './token-cache.ts'
import type { TokenEndpoint } from './token-endpoint.ts'

export interface TracesParts {
  readonly endpoint: TokenEndpoint
  readonly proofs: DpopKey | undefined
  readonly ticks: Ticks
}

/** How it was taken: `off`, nothing is kept of it. */
export interface TraceTaken {
  /** Id of its record. */
  readonly decisionId: string | undefined
  readonly captured: string | undefined
}

export class Traces {
  readonly #parts: TracesParts
  readonly #tokens: TokenCache

  constructor(parts: TracesParts) {
    this.#parts = parts
    const asked = { grant_type: GRANT_TYPE.clientCredentials, scope: 'sessions' }
    this.#tokens = new TokenCache((resource) => parts.endpoint.ask({ ...asked, resource }, 'access'), parts.ticks)
  }

  /** @throws Refused, BrokerUnavailable */
  async tell(session: string, text: string): Promise<TraceTaken> {
    const { endpoint, proofs } = this.#parts
    const { issuer } = await endpoint.metadata()
    const token = await this.#tokens.get(`${issuer}/api`, undefined)
    const url = `${issuer}/sessions/${encodeURIComponent(session)}/traces`
    const headers = await tokenHeaders(token, proofs, { method: 'POST', url })
    try {
      const answer = await endpoint.tell(url, { text: fitting(text) }, headers)
      const [decisionId, captured] = [answer['decision_id'], answer['captured']].map((value) =>
        typeof value === 'string' ? value : undefined,
      )
      return { decisionId, captured }
    } catch (error) {
      if (error instanceof Refused && error.facts.status === 401) this.#tokens.reject(token)
      throw error
    }
  }
}
