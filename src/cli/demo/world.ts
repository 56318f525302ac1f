/** What the story is played with: everything running, everybody connected. */
import type { TokenClient } from './token-client.ts'

export interface WorldServer {
  readonly url: string
  /** The server's own identity at the broker: it may ask about tokens made for it. */
  readonly own: TokenClient
  /** Where it asks the broker about calls. */
  readonly evaluation: string
}

export interface World {
  readonly issuer: string
  /** Its address. */
  readonly identityProvider: string
  /** Alice signs in at the application with this client id. @returns her ID token */
  login(clientId: string): Promise<string>
  readonly orchestrator: TokenClient
  readonly subAgent: TokenClient
  readonly warehouse: WorldServer
  readonly slack: WorldServer
  /** Of somebody with the role security. */
  reviewerToken(): Promise<string>
  /** Milliseconds, with fractions, from any start. */
  stopwatch(): number
}

/** Tokens in the order they came to be. */
export interface Tokens {
  /** Alice's, for the application the orchestrator belongs to. */
  readonly idToken: string
  readonly session: string
  readonly atWarehouse: string
  readonly atSlack: string
  readonly subSession: string
  readonly subAtWarehouse: string
}
