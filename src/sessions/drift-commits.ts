/** What drift does to a session's own record, as commits: counting, braking, and a reviewer's word. */
import { Rejection } from '../kernel/rejection.ts'
import { DRIFT_ASKS_KEPT } from '../kernel/store-limits.ts'
import type { Brake } from '../model/drift.ts'
import type { SessionFacts, SessionState } from '../model/session.ts'
import { enterState, type SessionChange } from './session-commits.ts'
import { FIELD } from './session-record.ts'

type Named = Pick<SessionFacts, 'id' | 'notAfter'>

/** One more. Counted in every state: what comes in while a session is being halted was asked for all the same. */
export function countDrift({ id, notAfter }: Named, decision: string, before: number): SessionChange {
  return {
    session: id,
    checks: [{ check: { check: 'present', field: FIELD.state }, refusal: absent }],
    operations: [
      { operation: 'increment', field: FIELD.drift, by: 1 },
      { operation: 'set', field: FIELD.drifted(before % DRIFT_ASKS_KEPT), value: decision },
    ],
    notAfter,
  }
}

/** Once, by whichever broker comes first: the others find the session braked. */
export function brakeSession({ id, notAfter }: Named, brake: Brake): SessionChange {
  return enterState(id, brake, notAfter, brake === 'halted' ? ['active', 'contracted'] : ['active'])
}

/** A reviewer's word: counting begins anew. */
export function resumeSession(
  { id, notAfter }: Named,
  to: Extract<SessionState, 'active' | 'contracted'>,
): SessionChange {
  const from = (['active', 'contracted', 'halted'] as const).filter((state) => state !== to)
  const change = enterState(id, to, notAfter, from)
  return { ...change, operations: [...change.operations, { operation: 'set', field: FIELD.drift, value: '0' }] }
}

function absent(): Rejection {
  return new Rejection('session_absent', 'the session is unknown, or ended long ago')
}
