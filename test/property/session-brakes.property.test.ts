/**
 * The states of a session against a model of them (DESIGN §7): after any sequence of brakes, reviews, ends and asks, what is
 * halted or ended issues nothing, and what was decided for a whole session is never written into a contracted one.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isIssuing, type SessionState } from '../../src/model/session.ts'
import { brakeSession, countDrift, resumeSession } from '../../src/sessions/drift-commits.ts'
import { enterState, issueLeaf, openSession } from '../../src/sessions/session-commits.ts'
import { END, NOW, nodeFacts, ROOT, SESSION, sessionFacts } from '../unit/sessions/fixtures.ts'
import { type Fields, perform } from '../unit/sessions/interpreter.ts'

const facts = sessionFacts()
const STEPS = ['contract', 'halt', 'resume', 'leave to reading', 'close', 'revoke', 'drift'] as const
type Step = (typeof STEPS)[number]

const CHANGES = {
  contract: () => brakeSession(facts, 'contracted'),
  halt: () => brakeSession(facts, 'halted'),
  resume: () => resumeSession(facts, 'active'),
  'leave to reading': () => resumeSession(facts, 'contracted'),
  close: () => enterState(SESSION, 'closed', END),
  revoke: () => enterState(SESSION, 'revoked', END),
  drift: () => countDrift(facts, 'dec_one', 0),
} as const satisfies Record<Step, () => unknown>

interface Model {
  readonly state: SessionState
  readonly drift: number
}

/** The rules, as DESIGN says them; `undefined`: refused. */
function next({ state, drift }: Model, step: Step): Model | undefined {
  if (step === 'drift') return { state, drift: drift + 1 }
  if (state === 'closed' || state === 'revoked') return undefined
  if (step === 'close') return { state: 'closed', drift }
  if (step === 'revoke') return { state: 'revoked', drift }
  if (step === 'contract') return state === 'active' ? { state: 'contracted', drift } : undefined
  if (step === 'halt') return state === 'halted' ? undefined : { state: 'halted', drift }
  const to = step === 'resume' ? 'active' : 'contracted'
  return state === to ? undefined : { state: to, drift: 0 }
}

test('whatever happens in whichever order, a session is in the state of the model, and issues as that may', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...STEPS), { maxLength: 30 }), (steps) => {
      const fields: Fields = new Map()
      perform(fields, openSession(facts, nodeFacts(), false))
      let model: Model = { state: 'active', drift: 0 }
      for (const step of steps) {
        const before = model.state
        const expected = next(model, step)
        const refusal = perform(fields, CHANGES[step]())
        expect(refusal === undefined).toBe(expected !== undefined)
        model = expected ?? model
        expect(fields.get('state')).toBe(model.state)
        expect(Number(fields.get('drift') ?? '0')).toBe(model.drift)
        // Decided by the state before this step, written after it: the race of an exchange with a brake.
        for (const read of [before, model.state]) {
          if (!isIssuing(read)) continue
          const issued = perform(new Map(fields), issueLeaf({ facts, state: read }, [ROOT], NOW)) === undefined
          const isWidened = read === 'active' && model.state === 'contracted'
          expect(issued).toBe(isIssuing(model.state) && !isWidened)
        }
      }
    }),
    { numRuns: 300 },
  )
})
