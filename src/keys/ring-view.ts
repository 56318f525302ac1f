/** The keys of a ring, and what holds of them at one time: who signs, who verifies, what is published, and until when. */
import type { JsonWebKey } from 'node:crypto'
import type { PublicKey } from '../jose/jwk.ts'
import { KeySet } from '../jose/key-set.ts'
import type { SigningKey } from '../jose/sign-jwt.ts'
import { ACCESS_TOKEN_LIFETIME_S_MAX, CLOCK_SKEW_S, SESSION_LIFETIME_S_MAX } from '../kernel/limits.ts'

export const KEY_CLASSES = ['access', 'internal', 'statement'] as const
export type KeyClass = (typeof KEY_CLASSES)[number]

export const KEY_ALGORITHMS = ['ES256', 'RS256', 'Ed25519'] as const
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number]

/** How long verifiers may serve our JWKS from a cache: many keep it ten minutes, whatever its `max-age` says. */
export const JWKS_CACHE_S = 600

/** After its successor took over, a key is kept for the longest token it may have signed. */
export const KEEP_SECONDS: Readonly<Record<KeyClass, number>> = {
  access: ACCESS_TOKEN_LIFETIME_S_MAX + CLOCK_SKEW_S + JWKS_CACHE_S,
  internal: SESSION_LIFETIME_S_MAX + CLOCK_SKEW_S,
  statement: ACCESS_TOKEN_LIFETIME_S_MAX + CLOCK_SKEW_S + JWKS_CACHE_S,
}

export interface RingKey {
  readonly class: KeyClass
  readonly alg: KeyAlgorithm
  /** RFC 7638 thumbprint of the public half. */
  readonly kid: string
  /** Epoch seconds. */
  readonly activateAt: number
  readonly createdAt: number
  /** A development key: refused outside development by `key-files.ts`. */
  readonly development: boolean
  readonly signing: SigningKey
  readonly verification: PublicKey
  /** Public members, `kid`, `alg` and `use`, as published. */
  readonly publicJwk: JsonWebKey
}

/** A key of the ring whose private file another broker has: see `shared-ring.ts` for why it may be believed. */
export interface AnnouncedKey extends Pick<RingKey, 'class' | 'alg' | 'kid' | 'activateAt' | 'createdAt'> {
  /** The key that vouches for it. */
  readonly by: string
  /** Absent: an internal key, which verifies only where its file is. */
  readonly verification?: PublicKey
  readonly publicJwk?: JsonWebKey
}

/** `next`: published, not signing yet. `retired`: superseded, still verifies. `gone`: neither; the file may be deleted. */
export type KeyState = 'next' | 'active' | 'retired' | 'gone'

interface Placed {
  readonly key: RingKey | AnnouncedKey
  readonly state: KeyState
  readonly goneAt: number | undefined
}

/** What holds from `from` until just before `until`. */
export interface View {
  readonly from: number
  readonly until: number
  readonly placed: readonly Placed[]
  readonly verification: Readonly<Record<KeyClass, KeySet>>
  readonly jwks: { readonly keys: readonly JsonWebKey[] }
}

export function inOrder(a: RingKey | AnnouncedKey, b: RingKey | AnnouncedKey): number {
  return a.activateAt - b.activateAt || a.createdAt - b.createdAt || (a.kid < b.kid ? -1 : 1)
}

export function viewAt(keys: readonly (RingKey | AnnouncedKey)[], now: number): View {
  const placed = keys.map((key, index) => place(key, keys.slice(index + 1), now))
  const alive = placed.filter(({ state }) => state !== 'gone')
  const changes = placed.flatMap(({ key, goneAt }) =>
    goneAt === undefined ? [key.activateAt] : [key.activateAt, goneAt],
  )
  const verification = (cls: KeyClass): KeySet =>
    KeySet.of(
      alive.flatMap(({ key }) => (key.class === cls && key.verification !== undefined ? [key.verification] : [])),
    )
  return {
    from: now,
    until: Math.min(...changes.filter((at) => at > now), Number.POSITIVE_INFINITY),
    placed,
    verification: {
      access: verification('access'),
      internal: verification('internal'),
      statement: verification('statement'),
    },
    jwks: {
      keys: alive.flatMap(({ key }) =>
        key.class !== 'internal' && key.publicJwk !== undefined ? [key.publicJwk] : [],
      ),
    },
  }
}

/** @param later the keys after it in order of activation. */
function place(key: RingKey | AnnouncedKey, later: readonly (RingKey | AnnouncedKey)[], now: number): Placed {
  const successor = later.find((other) => other.class === key.class && other.alg === key.alg)
  const goneAt = successor === undefined ? undefined : successor.activateAt + KEEP_SECONDS[key.class]
  if (key.activateAt > now) return { key, state: 'next', goneAt }
  if (successor === undefined || goneAt === undefined || successor.activateAt > now) {
    return { key, state: 'active', goneAt }
  }
  return { key, state: now < goneAt ? 'retired' : 'gone', goneAt }
}
