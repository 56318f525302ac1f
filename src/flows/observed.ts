/** Times one token request and tells its observer what was issued and how it ended; changes nothing about it. */
import { RefusedRequest } from '../audit/auditor.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Permit, Question } from '../model/decision.ts'
import type { VerifiedClient } from '../model/evidence.ts'
import type { ExchangeObserver, FlowName, Issued, Outcome } from '../model/exchange.ts'
import type { Issue } from './flow.ts'

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

/** A fault in counting is nobody's who has just been issued something. */
export function tellIssued(observer: ExchangeObserver | undefined, issued: Issued): void {
  try {
    observer?.issued(issued)
  } catch {
    // Reviews will miss this one.
  }
}

export function issuedBy(
  by: VerifiedClient,
  { question, permit, issue: { mint, order } }: { question: Question; permit: Permit; issue: Issue },
): Issued {
  const resource = 'resource' in mint ? mint.resource : undefined
  return {
    by,
    now: question.now,
    decided: { question, grants: permit.grantsMatched, resource, authority: order.authority },
  }
}
