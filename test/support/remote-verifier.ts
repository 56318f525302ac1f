/** A verifier as a process of its own, asked by number. */
import type { JsonWebKey } from 'node:crypto'
import { runChild } from './child.ts'
import { privateJwk, testKey } from './keys.ts'
import type { Verdict, VerifierAnswer, VerifierOrder, VerifierQuestion } from './verifier-child.ts'
import { WAREHOUSE } from './world.ts'

export interface RemoteVerifier {
  /** It can judge: it has heard of the revocations, where it follows them. */
  readonly ready: Promise<void>
  verify(token: string): Promise<Verdict>
  /** Asks until it is refused; when that was, by the machine's clock in milliseconds. */
  refusedAt(token: string, everyMs: number): Promise<number>
  close(): Promise<void>
}

/** The warehouse's, at an issuer of its world. */
export function startVerifier(issuer: string, hears: VerifierOrder['hears']): RemoteVerifier {
  const child = runChild(new URL('./verifier-child.ts', import.meta.url), [])
  const key = testKey('warehouse-server-key')
  const order: VerifierOrder = {
    issuer,
    resource: WAREHOUSE,
    clientId: 'warehouse-server',
    kid: key.kid,
    key: privateJwk(key) as JsonWebKey,
    hears,
  }
  child.send(JSON.stringify(order))
  const waiting = new Map<number, (answer: VerifierAnswer) => void>()
  let isReady: () => void = () => undefined
  const ready = new Promise<void>((resolve) => {
    isReady = resolve
  })
  child.onLine((line) => {
    if (line === 'ready') return isReady()
    const answer = JSON.parse(line) as VerifierAnswer
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  let last = 0
  const ask = (question: Omit<VerifierQuestion, 'id'>) =>
    new Promise<VerifierAnswer>((resolve) => {
      last += 1
      waiting.set(last, resolve)
      child.send(JSON.stringify({ id: last, ...question }))
    })
  return {
    ready,
    verify: async (token) => (await ask({ token })).verdict,
    refusedAt: async (token, everyMs) => (await ask({ token, untilRefusedMs: everyMs })).atMs,
    close: () => child.kill(),
  }
}
