/**
 * Whose MCP session is whose: until 2025-11-25 a server with sessions knows a client by `Mcp-Session-Id` alone, so whoever had seen
 * the id of another's could read its stream and answer in its place, with a good token of their own (MCP security best practices,
 * session hijacking). A session belongs to the user and agent whose token opened it.
 *
 * Sessions are in the memory of the server's process, and so is this: an id that was not opened here is the server's to refuse.
 */
import { MCP_SESSIONS_MAX } from '../../../kernel/mcp-limits.ts'
import type { VerifiedToken } from '../verified-token.ts'

export const SESSION_HEADER = 'mcp-session-id'

export class ProtocolSessions {
  readonly #holders = new Map<string, string>()

  opened(id: string, token: VerifiedToken): void {
    // The first opener stays: an id that is given out twice opens nobody else's session.
    if (this.#holders.has(id)) return
    const [oldest] = this.#holders.keys()
    if (this.#holders.size >= MCP_SESSIONS_MAX && oldest !== undefined) this.#holders.delete(oldest)
    this.#holders.set(id, principalOf(token))
  }

  /** @param ids every value of the header */
  isOfAnother(ids: readonly string[], token: VerifiedToken): boolean {
    return ids.some((id) => {
      const holder = this.#holders.get(id)
      return holder !== undefined && holder !== principalOf(token)
    })
  }
}

/** Not the session at the broker: an agent may open a new one there, and go on here. */
function principalOf({ subject, clientId }: VerifiedToken): string {
  return JSON.stringify([subject, clientId])
}
