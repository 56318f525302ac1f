/** The judge itself: each law is broken by a history that breaks it, and by none that does not. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { violations } from './checker.ts'
import { figuresOf } from './figures.ts'
import { type Happening, type History, readHistory, writeHistory } from './history.ts'

const issued = { token: 'jti', session: 'ses', nodes: ['root', 'child'] }
const revoked = (target: string, at = 100): Happening => ({ kind: 'revoked', begunAt: at - 10, at, target })
const verified = (verdict: 'accepted' | 'refused' | 'unavailable', begunAt: number, verifier = 'first'): Happening => ({
  kind: 'verified',
  begunAt,
  at: begunAt + 5,
  ...issued,
  verifier,
  verdict,
})
const granted = (begunAt: number, over: object = {}): Happening => ({
  kind: 'granted',
  begunAt,
  at: begunAt + 5,
  how: 'continue',
  ...issued,
  from: 'parent',
  ...over,
})
const history = (...happenings: Happening[]): History => ({
  seed: 1,
  topology: 'none',
  bounds: { brokerMs: 50, verifierMs: { first: 50, second: 500 } },
  happenings,
})
const laws = (...happenings: Happening[]) => violations(history(...happenings)).map(({ law }) => law)

describe('dead stays dead', () => {
  test.each(['jti', 'ses', 'root', 'child'])('accepted after its bound, revoked by %s', (target) => {
    expect(laws(revoked(target), verified('accepted', 151))).toEqual(['dead stays dead'])
  })

  test('the revocation counts from the first time it was acknowledged, in whatever order it stands there', () => {
    expect(laws(verified('accepted', 151), revoked('ses', 400), revoked('ses'))).toEqual(['dead stays dead'])
  })

  test.each([
    ['within the bound', [revoked('ses'), verified('accepted', 150)]],
    ['within the bound of that verifier', [revoked('ses'), verified('accepted', 600, 'second')]],
    ['before', [revoked('ses'), verified('accepted', 50)]],
    ['of something else', [revoked('other'), verified('accepted', 9_000)]],
    [
      'never acknowledged',
      [{ kind: 'revoke_failed', begunAt: 1, at: 2, target: 'ses', reason: '503' }, verified('accepted', 9_000)],
    ],
    ['refused', [revoked('ses'), verified('refused', 9_000)]],
    ['not verified at all', [revoked('ses'), verified('unavailable', 9_000)]],
  ] as [string, Happening[]][])('no violation: %s', (_what, happenings) => {
    expect(laws(...happenings)).toEqual([])
  })
})

describe('nothing from the dead', () => {
  test.each(['parent', 'ses', 'root', 'child'])('given after the bound for what was revoked by %s', (target) => {
    expect(laws(revoked(target), granted(151))).toEqual(['nothing from the dead'])
  })

  test('no violation: within the bound, or a session that begins', () => {
    expect(laws(revoked('ses'), granted(150), granted(900, { how: 'open', session: 'ses' }))).toEqual([])
  })
})

test('single use: what was good for two', () => {
  const one = { how: 'accept', once: 'delegation' }
  expect(laws(granted(1, one), granted(2, { ...one, once: 'other' }), granted(3), granted(4))).toEqual([])
  expect(laws(granted(1, one), granted(2, one))).toEqual(['single use'])
})

test('no resurrection: refused, and after its bound accepted again by the same verifier', () => {
  expect(laws(verified('refused', 10), verified('accepted', 66))).toEqual(['no resurrection'])
  expect(laws(verified('refused', 10), verified('accepted', 60), verified('accepted', 400, 'second'))).toEqual([])
})

test('service returns: a broker that does not', () => {
  expect(laws({ kind: 'not_back', at: 5, what: '503' })).toEqual(['service returns'])
})

test('a history that was kept is judged as the one that was seen', () => {
  const directory = mkdtempSync(join(tmpdir(), 'errand-history-'))
  try {
    const seen = history(revoked('ses'), verified('accepted', 151), granted(1))
    writeHistory(join(directory, 'run.jsonl'), seen)
    expect(readHistory(join(directory, 'run.jsonl'))).toEqual(seen)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('the figures: how long a dead token was accepted, and what a fault cost', () => {
  const refused = (at: number, reason: string): Happening => ({
    kind: 'refused',
    begunAt: at - 1,
    at,
    how: 'open',
    reason,
  })
  const figures = figuresOf(
    history(
      revoked('ses'),
      verified('accepted', 110),
      verified('accepted', 120),
      revoked('other', 200),
      { kind: 'fault', at: 1_000, what: 'a fault' },
      refused(1_100, 'store_unavailable'),
      refused(1_200, 'session_not_issuing'),
      granted(1_050),
      granted(1_250, { how: 'open' }),
    ),
  )
  expect(figures.killToLastAcceptanceMs).toEqual({ p50: 0, p99: 25, most: 25 })
  expect(figures.faults).toEqual([{ what: 'a fault', recoveryMs: 255, refused: 1 }])
  expect(figures.refusals).toEqual({ store_unavailable: 1, session_not_issuing: 1 })
})
