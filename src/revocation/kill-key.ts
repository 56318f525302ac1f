/**
 * The emergency kill of a signing key: one cut-off by its `kid`, and everything it ever signed is dead at every broker that
 * hears it: introspection says inactive, the broker's own endpoints refuse, `/jwks` no longer has it. The cut-off never
 * expires: its file may lie in a backup for years.
 *
 * Does not reach: a verifier that reads signatures only, until its copy of the JWKS ends (ten minutes at most in stock
 * clients, DESIGN §2); one that asks `/introspect` hears at once.
 */
import { Rejection } from '../kernel/rejection.ts'
import type { RevocationParts } from './client-call.ts'
import { type KillParts, standing } from './kill.ts'
import { type KillReport, nothingDied } from './kill-report.ts'

/** The last millisecond a Date can name: stores keep an expiry, and this one never comes. */
const NEVER_MS = 8_640_000_000_000_000

/** Without a `keeper`, no successor is made. */
export type KeyKillParts = Pick<KillParts, 'cutoffs' | 'store'> &
  Pick<RevocationParts, 'ring' | 'registries' | 'settings'> & {
    readonly keeper: RevocationParts['keeper'] | undefined
  }

/** Repeating it writes no second cut-off where the first stands, and makes up for a successor that could not be made before. @throws Rejection `not_found` */
export async function killKey(kid: string, parts: KeyKillParts): Promise<KillReport> {
  const { ring, keeper, cutoffs, store } = parts
  const known = cutoffs.set.killing({
    rv: Number.MAX_SAFE_INTEGER,
    nodes: [],
    agents: [],
    versions: [],
    kid,
    accessToken: false,
  })
  const key = ring.known(kid)
  // A typing error must not look like a kill.
  if (key === undefined && known === undefined) throw new Rejection('not_found', 'no such key: errand keys lists them')
  const cutoff = { entry: 'cutoff', dimension: 'key', id: kid, expiresAtMs: NEVER_MS } as const
  const { seq } = standing(known, parts) ?? (await cutoffs.write(store.control, [cutoff]))
  const report = nothingDied(seq)
  if (key === undefined) return report
  const killed = { kid, class: key.class, alg: key.alg }
  if (keeper === undefined) return { ...report, key: killed }
  return { ...report, key: { ...killed, signs: (await keeper.ensureSigner(key.class, key.alg)) ?? null } }
}
