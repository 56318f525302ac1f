/** The life of a governed object as a state machine (R190): every path that legal steps make, and what is issued along it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LIFECYCLE_STATES, type LifecycleState, legalTransition, mayIssue } from '../../src/model/lifecycle.ts'

const state = fc.constantFrom(...LIFECYCLE_STATES)

/** Read off the page: who may follow whom, to stay as one is aside. */
const NEXT: Readonly<Record<LifecycleState, string>> = {
  draft: 'testing retired',
  testing: 'draft active retired',
  active: 'suspended retired',
  suspended: 'active retired',
  retired: '',
}

test('a step is legal exactly where the page draws it', () => {
  for (const from of LIFECYCLE_STATES) {
    const legal = LIFECYCLE_STATES.filter((to) => to !== from && legalTransition(from, to))
    expect(legal.sort().join(' '), from).toBe(NEXT[from].split(' ').sort().join(' '))
    expect(legalTransition(from, from)).toBe(true)
  }
})

test('along any path: retired is the end, production is reached through testing only, and nobody is issued to before it', () => {
  fc.assert(
    fc.property(fc.array(state, { maxLength: 30 }), (wanted) => {
      const path: LifecycleState[] = ['draft']
      for (const to of wanted) {
        const from = path.at(-1) ?? 'draft'
        if (!legalTransition(from, to)) continue
        path.push(to)
      }
      const issuedAt = path.findIndex((one) => mayIssue(one, 'production'))
      if (issuedAt >= 0) expect(path.slice(0, issuedAt)).toContain('testing')
      const retiredAt = path.indexOf('retired')
      if (retiredAt >= 0) {
        expect(path.slice(retiredAt).every((one) => one === 'retired')).toBe(true)
        expect(path.slice(retiredAt).some((one) => mayIssue(one, 'development'))).toBe(false)
      }
    }),
  )
})

test('what is issued nothing in any environment is issued nothing in production, and testing is what differs', () => {
  fc.assert(
    fc.property(state, fc.stringMatching(/^[a-z0-9-]{1,32}$/), (one, environment) => {
      if (mayIssue(one, 'production')) expect(mayIssue(one, environment)).toBe(true)
      const differs = mayIssue(one, environment) !== mayIssue(one, 'production')
      expect(differs).toBe(one === 'testing' && environment !== 'production')
    }),
  )
})
