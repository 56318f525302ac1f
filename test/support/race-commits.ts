/** The three commits of the revoke-versus-mint race, as the broker shapes them: open, mint a leaf, revoke. */
import type { SessionId } from '../../src/kernel/ids.ts'
import type { Commit } from '../../src/model/commit.ts'

const EXPIRES_AT_MS = Date.now() + 3_600_000

export function openCommit(session: SessionId): Commit {
  return {
    session,
    id: `open ${session}`,
    checks: [{ check: 'absent', field: 'state' }],
    operations: [
      { operation: 'set', field: 'state', value: 'active' },
      { operation: 'set', field: 'node:root', value: 'root' },
    ],
    expiresAtMs: EXPIRES_AT_MS,
    audit: undefined,
  }
}

export function mintCommit(session: SessionId, leaf: number): Commit {
  return {
    session,
    id: `mint ${session} ${leaf}`,
    checks: [
      { check: 'oneOf', field: 'state', values: ['active', 'contracted'] },
      { check: 'present', field: 'node:root' },
      { check: 'absent', field: 'cutoff:root' },
    ],
    operations: [{ operation: 'increment', field: 'leaves', by: 1 }],
    expiresAtMs: EXPIRES_AT_MS,
    audit: `${session} mint ${leaf}`,
  }
}

/** Both ways of killing: the session's state, and the cut-off of its node. */
export function revokeCommit(session: SessionId, way: 'session' | 'node'): Commit {
  return {
    session,
    id: `revoke ${session}`,
    checks: [{ check: 'present', field: 'state' }],
    operations: [
      way === 'session'
        ? { operation: 'set', field: 'state', value: 'revoked' }
        : { operation: 'set', field: 'cutoff:root', value: 'yes' },
    ],
    expiresAtMs: EXPIRES_AT_MS,
    audit: `${session} revoke`,
  }
}
