/** Times one token request and tells its observer how it ended; changes nothing about it. */
import { RefusedRequest } from '../audit/auditor.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { ExchangeObserver, FlowName, Outcome } from '../model/exchange.ts'

/** @param run knows its flow once the work has come so far */
export async function observed<T>(
  observer: ExchangeObserver | undefined,
  run: { readonly flow: FlowName },
  work: () => Promise<T>,
): Promise<T> {
  if (observer === undefined) return work()
  const begun = performance.now()
  observer.begin()
  let outcome: Outcome = 'server_error'
  try {
    const result = await work()
    outcome = 'issued'
    return result
  } catch (refused) {
    if (refused instanceof RefusedRequest && refused.error instanceof Rejection) outcome = refused.error.reason
    throw refused
  } finally {
    observer.exchange(run.flow, outcome, (performance.now() - begun) / 1000)
  }
}
