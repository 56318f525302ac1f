import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IssuanceRates } from '../../../src/admission/issuance-rates.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'

const RULES = [
  { scope: 'write', perMinute: 2 },
  { scope: 'admin', perMinute: 1 },
]

function attempt(rates: IssuanceRates, scopes: readonly string[], nowMs: number, agent = 'a') {
  try {
    return rates.take(agent, RULES, scopes, nowMs)
  } catch (error) {
    if (error instanceof Rejection && error.reason === 'issuance_limited') return error.retryAfterSeconds
    throw error
  }
}

test('so many within any minute, each scope and each agent by itself, and Retry-After is true', () => {
  const rates = new IssuanceRates()
  for (const nowMs of [0, 30_000]) rates.take('a', RULES, ['read', 'write'], nowMs).issued(nowMs)
  expect(attempt(rates, ['write'], 59_500)).toBe(1)
  expect(attempt(rates, ['read'], 59_500)).toBeTypeOf('object')
  expect(attempt(rates, ['write'], 59_500, 'b')).toBeTypeOf('object')
  expect(attempt(rates, ['write'], 60_000)).toBeTypeOf('object')
})

test('what is on its way holds its place, what is released gives it back, and a refusal under one rule takes none of another', () => {
  const rates = new IssuanceRates()
  const first = rates.take('a', RULES, ['write', 'admin'], 0)
  expect(attempt(rates, ['write', 'admin'], 0)).toBe(1)
  const second = rates.take('a', RULES, ['write'], 0)
  expect(attempt(rates, ['write'], 0)).toBe(1)
  second.release()
  first.issued(0)
  expect(attempt(rates, ['write'], 0)).toBeTypeOf('object')
})

test('property: never more than per_minute of those issued were admitted within any minute', () => {
  const steps = fc.array(
    fc.record({ after: fc.nat({ max: 40_000 }), ends: fc.option(fc.nat({ max: 3 })), issued: fc.boolean() }),
  )
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 5 }), (script, perMinute) => {
      const rates = new IssuanceRates()
      const onTheirWay: ReturnType<IssuanceRates['take']>[] = []
      const issued: number[] = []
      let now = 0
      for (const { after, ends, issued: isIssued } of script) {
        now += after
        try {
          onTheirWay.push(rates.take('a', [{ scope: 's', perMinute }], ['s'], now))
        } catch (error) {
          expect(error).toMatchObject({ reason: 'issuance_limited' })
        }
        const [place] = ends === null ? [] : onTheirWay.splice(ends, 1)
        if (place !== undefined && isIssued) {
          place.issued(now)
          issued.push(now)
        } else place?.release()
        expect(issued.filter((at) => at > now - 60_000).length).toBeLessThanOrEqual(perMinute)
      }
    }),
  )
})
