/** An outage at thousands of requests a second is a line a second in the log, and none of them is uncounted. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { LOG_REPEAT_KEYS_MAX, LOG_REPEAT_MS } from '../../../src/kernel/process-limits.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { faultLog } from '../../../src/operate/fault-log.ts'
import { Repeats } from '../../../src/operate/repeats.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('the first is written at once, the rest once a second with their number, and nothing is lost', () => {
  const repeats = new Repeats()
  const lines: number[] = []
  const say = () => repeats.say('store_unavailable', (count) => lines.push(count))
  for (let request = 0; request < 4_000; request++) say()
  expect(lines).toEqual([1])
  vi.advanceTimersByTime(LOG_REPEAT_MS)
  expect(lines).toEqual([1, 3_999])
  say()
  expect(lines).toEqual([1, 3_999])
  vi.advanceTimersByTime(LOG_REPEAT_MS)
  expect(lines).toEqual([1, 3_999, 1])
  vi.advanceTimersByTime(2 * LOG_REPEAT_MS)
  expect(vi.getTimerCount()).toBe(0)
  say()
  expect(lines).toEqual([1, 3_999, 1, 1])
})

test('so many kinds of lines are told apart, and the others are one', () => {
  const repeats = new Repeats()
  let written = 0
  for (let kind = 0; kind < 10 * LOG_REPEAT_KEYS_MAX; kind++) repeats.say(`kind ${kind}`, () => written++)
  expect(written).toBeLessThanOrEqual(LOG_REPEAT_KEYS_MAX + 1)
})

test('faults of one place are one kind whatever they say, and refusals one kind for each reason', () => {
  const lines: unknown[][] = []
  const log = { warn: (...line: unknown[]) => lines.push(line), error: (...line: unknown[]) => lines.push(line) }
  const repeats = new Repeats()
  const report = faultLog(log as never, repeats)
  const fault = (text: string) => new Error(text)
  for (let each = 0; each < 100; each++) {
    report({ faultId: `f${each}`, decisionId: undefined, traceId: undefined, cause: fault(`about ${each}`) })
    report({
      faultId: undefined,
      decisionId: `d${each}`,
      traceId: undefined,
      cause: new Rejection('store_unavailable', 'away'),
    })
    report({
      faultId: undefined,
      decisionId: undefined,
      traceId: undefined,
      cause: new Rejection('cutoffs_stale', 'stale'),
    })
  }
  expect(lines.map(([fields]) => (fields as { count: number }).count)).toEqual([1, 1, 1])
  repeats.flush()
  expect(lines.map(([fields]) => (fields as { count: number }).count)).toEqual([1, 1, 1, 99, 99, 99])
})

test('a line of a refusal and of a fault names the piece of work, also where nothing is traced', () => {
  const lines: unknown[] = []
  const write = (fields: unknown) => lines.push(fields)
  const report = faultLog({ warn: write, error: write } as never, new Repeats())
  const named = { faultId: undefined, decisionId: 'dec_1', traceId: undefined, txn: 'txn_1' }
  report({ ...named, cause: new Rejection('store_unavailable', 'away') })
  report({ ...named, cause: new Error('ours') })
  report({ ...named, txn: undefined, cause: new Rejection('cutoffs_stale', 'stale') })
  expect(lines).toMatchObject([{ decision: 'dec_1', txn: 'txn_1' }, { txn: 'txn_1' }, { decision: 'dec_1' }])
  expect(lines[2]).not.toHaveProperty('txn')
})
