import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RefusedRequest } from '../../../src/audit/auditor.ts'
import { errorResponse, json, plain } from '../../../src/http/error-response.ts'
import { newDecisionId } from '../../../src/kernel/ids.ts'
import { REASONS, Rejection } from '../../../src/kernel/rejection.ts'
import type { Fault } from '../../../src/operate/fault-log.ts'

const reports: Fault[] = []
const context = (over: { scheme?: string; bearer?: boolean } = {}) => {
  reports.length = 0
  return {
    facts: { source: '203.0.113.9', authorizationScheme: over.scheme, correlation: undefined },
    bearer: over.bearer ?? false,
    report: (fault: Fault) => void reports.push(fault),
  }
}

const known = (error: unknown) => new RefusedRequest(error, { decisionId: newDecisionId(), txn: 'txn_1' }, true)
const body = async (response: Response) => JSON.parse(await response.text())

describe('a refusal on the wire', () => {
  it('tells a known caller the reason, the decision, and what was missing', async () => {
    const refused = known(new Rejection('nothing_granted', 'nothing is left', { missing: ['tool "x"', 'a\nb'] }))
    const response = errorResponse(refused, context())
    expect(response.status).toBe(400)
    expect(await body(response)).toEqual({
      error: 'invalid_scope',
      error_description: 'nothing is left',
      error_reason: 'nothing_granted',
      missing: ["tool 'x'", 'a?b'],
      decision_id: refused.decisionId,
    })
    expect(reports).toEqual([])
  })

  it('tells a stranger the error and a description, no reason, nothing missing', async () => {
    const rejection = new Rejection('parameter_missing', 'subject_token is required', { missing: ['secret'] })
    for (const thrown of [rejection, new RefusedRequest(rejection, {}, false)]) {
      expect(await body(errorResponse(thrown, context()))).toEqual({
        error: 'invalid_request',
        error_description: 'subject_token is required',
      })
    }
  })

  it('answers every credential that was not believed in the same words', async () => {
    for (const reason of REASONS) {
      const response = errorResponse(new Rejection(reason, 'the user mallory is not listed'), context({ bearer: true }))
      const { error, error_description: description } = await body(response)
      if (error !== 'invalid_client' && reason !== 'bearer_invalid') continue
      expect(description).not.toContain('mallory')
      expect(response.headers.get('www-authenticate')).not.toContain('mallory')
    }
  })

  it.each(REASONS)('is JSON that nobody stores, for %s', (reason) => {
    const { headers } = errorResponse(new Rejection(reason, 'x'), context())
    expect(headers.get('content-type')).toBe('application/json')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('pragma')).toBe('no-cache')
  })

  it('says when to try again where it is not certain, and tells the operator why', () => {
    const cause = new Error('disk on fire')
    const later = new Rejection('store_unavailable', 'try again', { retryAfterSeconds: 7, cause })
    const response = errorResponse(known(later), context())
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '7'])
    expect(reports).toEqual([
      { faultId: undefined, decisionId: expect.stringMatching(/^dec_/), txn: 'txn_1', cause: later },
    ])
    expect(errorResponse(new Rejection('cutoffs_stale', 'x'), context()).headers.get('retry-after')).toBe('1')
  })

  it('shows nothing of a fault but an id to search the log for', async () => {
    const faults = [new Error('at secret.ts:7 /etc/key'), 'a string', undefined, null, { token: 'eyJhbGciOiJub25lIn0' }]
    for (const fault of faults) {
      const response = errorResponse(fault, context())
      expect(response.status).toBe(500)
      const answered = await body(response)
      expect(answered).toEqual({ error: 'server_error', error_description: expect.stringMatching(/the id dec_/) })
      expect(JSON.stringify(answered)).not.toMatch(/secret|\/etc\/|eyJhbGci|string/)
      expect(reports[0]?.cause).toBe(fault)
      expect(answered.error_description).toContain(reports[0]?.faultId)
    }
  })

  it('challenges in the scheme that was tried at the token endpoint (RFC 6749 §5.2)', () => {
    const challenge = (scheme: string | undefined) =>
      errorResponse(new Rejection('client_unknown', 'x'), context(scheme === undefined ? {} : { scheme })).headers.get(
        'www-authenticate',
      )
    expect(challenge('basic')).toBe('Basic realm="errand"')
    expect(challenge('bearer')).toBe('Bearer')
    expect(challenge('x"injected')).toBe('Bearer')
    expect(challenge(undefined)).toBeNull()
  })

  it('challenges as RFC 6750 §3 says where bearer tokens are taken', () => {
    const challenge = (reason: 'bearer_missing' | 'bearer_invalid' | 'bearer_scope') => {
      const thrown = new Rejection(reason, 'needs the "sessions"\r\nscope')
      return errorResponse(thrown, context({ bearer: true })).headers.get('www-authenticate')
    }
    expect(challenge('bearer_missing')).toBe('Bearer realm="errand"')
    expect(challenge('bearer_invalid')).toMatch(
      /^Bearer realm="errand", error="invalid_token", error_description="[^"]+"$/,
    )
    expect(challenge('bearer_scope')).toBe(
      'Bearer realm="errand", error="insufficient_scope", error_description="needs the \'sessions\'??scope"',
    )
    const other = errorResponse(new Rejection('not_found', 'x'), context({ bearer: true }))
    expect(other.headers.get('www-authenticate')).toBeNull()
  })
})

describe('plain', () => {
  it('keeps what RFC 6749 §5.2 allows and nothing else, one character for each', () => {
    expect(plain('say "no" to C:\\x')).toBe("say 'no' to C:/x")
    expect(plain('tab\tcr\rlf\nnul\0del\x7fé\u202e')).toBe('tab?cr?lf?nul?del???')
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = plain(text)
        expect(shown).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/)
        expect(shown.length).toBe(text.length)
      }),
    )
    fc.assert(
      fc.property(fc.stringMatching(/^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/), (text) => {
        expect(plain(text)).toBe(text)
      }),
    )
  })
})

describe('json', () => {
  it('forbids storing unless the caller says otherwise', () => {
    expect(json(200, {}).headers.get('cache-control')).toBe('no-store')
    expect(json(200, {}, { 'Cache-Control': 'public' }).headers.get('cache-control')).toBe('public')
  })
})
