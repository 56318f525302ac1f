/** The verifiers of a run, each a process of its own, asked by number. */
import type { JsonWebKey } from 'node:crypto'
import { runChild } from '../support/child.ts'
import { privateJwk, testKey } from '../support/keys.ts'
import { WAREHOUSE } from '../support/world.ts'
import type { Verdict } from './history.ts'
import type { VerifierOrder } from './verifier-child.ts'

export interface RemoteVerifier {
  readonly name: string
  verify(token: string): Promise<Verdict>
  close(): Promise<void>
}

export function startVerifier(name: string, issuer: string): RemoteVerifier {
  const child = runChild(new URL('./verifier-child.ts', import.meta.url), [])
  const key = testKey('warehouse-server-key')
  const order: VerifierOrder = {
    issuer,
    resource: WAREHOUSE,
    clientId: 'warehouse-server',
    kid: key.kid,
    key: privateJwk(key) as JsonWebKey,
  }
  child.send(JSON.stringify(order))
  const waiting = new Map<number, (verdict: Verdict) => void>()
  child.onLine((line) => {
    const { id, verdict } = JSON.parse(line) as { id: number; verdict: Verdict }
    waiting.get(id)?.(verdict)
    waiting.delete(id)
  })
  let last = 0
  return {
    name,
    verify: (token) =>
      new Promise((resolve) => {
        last += 1
        waiting.set(last, resolve)
        child.send(JSON.stringify({ id: last, token }))
      }),
    close: () => child.kill(),
  }
}
