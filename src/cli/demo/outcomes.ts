/** Outcomes held against what the story says must happen: a refusal that came out as a success ends it, and the other way. */
import { printable } from '../terminal.ts'
import type { ToolOutcome } from './agent-client.ts'
import { type Found, NotAsTold } from './teller.ts'
import type { ExchangeOutcome } from './token-client.ts'

/** @returns the token */
export function granted(outcome: ExchangeOutcome): string {
  if (outcome.ok) return outcome.token
  throw new NotAsTold(`the broker refused: ${outcome.reason}: ${outcome.description} (${outcome.missing.join('; ')})`)
}

/** @returns the tool's answer */
export function answered(outcome: ToolOutcome): string {
  if (outcome.ok) return printable(outcome.text)
  throw new NotAsTold(`the server refused (${outcome.status}): ${outcome.description}`)
}

/** The server must refuse, with this status, naming what was missing. */
export function refusedByServer(outcome: ToolOutcome, status: number, naming: string): Found<void> {
  if (outcome.ok) throw new NotAsTold('the server allowed it')
  if (outcome.status !== status || !outcome.description.includes(naming)) {
    throw new NotAsTold(`refused, but with ${outcome.status} and the words: ${outcome.description}`)
  }
  return { value: undefined, lines: [`${outcome.status}: ${printable(outcome.description)}`] }
}

/** The broker must refuse, for this reason. */
export function refusedByBroker(outcome: ExchangeOutcome, reason: string): Found<void> {
  if (outcome.ok) throw new NotAsTold('the broker allowed it')
  if (outcome.reason !== reason) {
    throw new NotAsTold(`refused, but because of ${outcome.reason}: ${outcome.description}`)
  }
  const missing = outcome.missing.map((line) => `missing: ${printable(line)}`)
  return {
    value: undefined,
    lines: [`${outcome.error}, ${outcome.reason}: ${printable(outcome.description)}`, ...missing],
  }
}
