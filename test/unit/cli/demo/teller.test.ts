import { describe, expect, test } from 'vitest'
import { answered, granted, refusedByBroker, refusedByServer } from '../../../../src/cli/demo/outcomes.ts'
import { NotAsTold, Teller } from '../../../../src/cli/demo/teller.ts'
import { plainStyles } from '../../../../src/cli/terminal.ts'

function told(): { teller: Teller; text: () => string } {
  const written: string[] = []
  const teller = new Teller({ write: (text) => written.push(text), styles: plainStyles, stopwatch: () => 0 })
  return { teller, text: () => written.join('') }
}

describe('the teller', () => {
  test('shows a step that came out as told with its time and what was seen', async () => {
    const { teller, text } = told()
    expect(await teller.step('It works', async () => ({ value: 7, lines: ['seen'] }))).toBe(7)
    teller.end(true)
    expect(text()).toMatch(/^ {3}✓ It works +0 ms\n {7}seen\n\nEvery step came out as told: 1 of 1\.\n/)
  })

  test('shows any failure as ✗ and ends the story', async () => {
    const { teller, text } = told()
    const failing = teller.step('It works', () => Promise.reject(new TypeError('socket\u001b[2J closed')))
    await expect(failing).rejects.toBeInstanceOf(NotAsTold)
    teller.end(false)
    expect(text()).toContain('   ✗ It works\n       socket?[2J closed\n')
    expect(text()).toContain('0 steps came out as told, the next did not')
  })
})

describe('an outcome', () => {
  const refused = { ok: false, status: 403, description: 'tool x needs scope y' } as const

  test('that the story calls a refusal must be one, with its status and words', () => {
    expect(refusedByServer(refused, 403, 'scope y').lines).toEqual(['403: tool x needs scope y'])
    expect(() => refusedByServer({ ok: true, text: 'rows' }, 403, '')).toThrow('the server allowed it')
    expect(() => refusedByServer(refused, 401, 'scope y')).toThrow(NotAsTold)
    expect(() => refusedByServer(refused, 403, 'scope z')).toThrow(NotAsTold)
  })

  const denied = { ok: false, error: 'invalid_target', reason: 'r', description: 'd', missing: ['m'] } as const

  test('of the broker must be refused for the reason told', () => {
    expect(refusedByBroker(denied, 'r').lines).toEqual(['invalid_target, r: d', 'missing: m'])
    expect(() => refusedByBroker(denied, 'other')).toThrow(NotAsTold)
    expect(() => refusedByBroker({ ok: true, token: 't', scope: '' }, 'r')).toThrow('the broker allowed it')
  })

  test('that the story calls a success must be one', () => {
    expect(granted({ ok: true, token: 't', scope: '' })).toBe('t')
    expect(() => granted(denied)).toThrow(NotAsTold)
    expect(answered({ ok: true, text: 'rows' })).toBe('rows')
    expect(() => answered(refused)).toThrow(NotAsTold)
  })
})
