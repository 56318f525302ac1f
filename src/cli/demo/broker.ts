/** The demo's broker: the real one, on the embedded store, answering on a server that listens already. */
import type { Server } from 'node:http'

export interface Listening {
  readonly server: Server
  readonly origin: string
}

/** @returns how to stop it */
export async function startBroker({ origin }: Listening, directory: string): Promise<() => Promise<void>> {
  throw new Error(`not yet: ${origin} ${directory}`)
}
