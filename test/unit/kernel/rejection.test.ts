import { describe, expect, it } from 'vitest'
import { Rejection, unreachable } from '../../../src/kernel/rejection.ts'

describe('a rejection', () => {
  it('says what, why, what was missing and when to try again', () => {
    const cause = new Error('underneath')
    const rejection = new Rejection('store_unavailable', 'try again', { missing: ['x'], retryAfterSeconds: 2, cause })
    expect(rejection).toMatchObject({ reason: 'store_unavailable', message: 'try again', missing: ['x'], cause })
    expect(rejection.retryAfterSeconds).toBe(2)
    expect(rejection).toBeInstanceOf(Error)
    expect(rejection.name).toBe('Rejection')
  })

  it('has nothing missing and no cause unless it is said', () => {
    const rejection = new Rejection('not_found', 'no such session')
    expect([rejection.missing, rejection.retryAfterSeconds]).toEqual([[], undefined])
    expect(Object.hasOwn(rejection, 'cause')).toBe(false)
  })
})

describe('the arm that cannot be reached', () => {
  it('is a fault, never a grant', () => {
    expect(() => unreachable('new state' as never)).toThrow(/unreachable: "new state"/)
    expect(() => unreachable('new state' as never)).not.toThrow(Rejection)
  })
})
