import { describe, expect, test } from 'vitest'
import {
  ISSUING_STATES,
  mayTransition,
  parseSessionState,
  SESSION_STATES,
  statesBefore,
} from '../../../src/model/session.ts'
import { API_SCOPES, adminAudience, apiAudience } from '../../../src/model/settings.ts'

describe('the state machine of a session', () => {
  test('closed, revoked and expired are terminal', () => {
    for (const from of ['closed', 'revoked', 'expired'] as const) {
      for (const to of SESSION_STATES) expect(mayTransition(from, to), `${from} to ${to}`).toBe(false)
    }
  })

  test('every other state can be ended in every way', () => {
    for (const from of ['active', 'contracted', 'halted'] as const) {
      for (const to of ['closed', 'revoked', 'expired'] as const) expect(mayTransition(from, to)).toBe(true)
    }
  })

  test('active contracts, either halts, and a reviewer resumes into either', () => {
    const living = ['active', 'contracted', 'halted'] as const
    for (const from of living) {
      for (const to of living) expect(mayTransition(from, to), `${from} to ${to}`).toBe(from !== to)
    }
  })

  test('no state is entered from itself, so a second ending is told apart from the first', () => {
    for (const state of SESSION_STATES) expect(statesBefore(state)).not.toContain(state)
  })

  test('the states before a state are exactly those with a transition into it', () => {
    for (const to of SESSION_STATES) {
      expect(statesBefore(to)).toEqual(SESSION_STATES.filter((from) => mayTransition(from, to)))
    }
    expect(statesBefore('revoked')).toEqual(['active', 'contracted', 'halted'])
  })

  test('only active and contracted issue', () => {
    expect([...ISSUING_STATES].sort()).toEqual(['active', 'contracted'])
  })

  test('an unknown, absent or differently spelled state is none', () => {
    for (const text of [undefined, '', 'Active', ' active', 'resting', 'constructor', '__proto__']) {
      expect(parseSessionState(text)).toBeUndefined()
    }
    for (const state of SESSION_STATES) expect(parseSessionState(state)).toBe(state)
  })
})

describe('the audiences of the broker itself', () => {
  test('api, administration and issuer are three different audiences', () => {
    const issuer = 'https://errand.example'
    expect(apiAudience(issuer)).toBe('https://errand.example/api')
    expect(adminAudience(issuer)).toBe('https://errand.example/admin')
  })

  test('administration is no scope of the API', () => {
    expect([...API_SCOPES].sort()).toEqual(['evaluate', 'revocations', 'sessions'])
  })
})
