/**
 * KeyRing: which of our keys signs now, which still verify, which the world may see.
 *
 * - One class per group of token kinds, so that no token can pass for one of another group (RFC 8725 §3.12): `access`
 *   (published), `internal` (session, delegation and management tokens; never published, so that nobody outside can mistake
 *   them for anything), `statement` (signed answers; published).
 * - A key is published before it signs and kept until the last token it signed has expired.
 * - A key that was struck (killed, DESIGN §7) is nowhere from that moment on: it neither signs nor verifies nor is published,
 *   and its predecessor, where there is one, signs again. Nothing brings it back into this ring.
 * - Time is an argument; between two changes of state the answers are computed once.
 */
import type { JsonWebKey } from 'node:crypto'
import type { PublicKey } from '../jose/jwk.ts'
import { KeySet } from '../jose/key-set.ts'
import type { SigningKey } from '../jose/sign-jwt.ts'
import { ACCESS_TOKEN_LIFETIME_S_MAX, CLOCK_SKEW_S, SESSION_LIFETIME_S_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'

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

/** `next`: published, not signing yet. `retired`: superseded, still verifies. `gone`: neither; the file may be deleted. */
export type KeyState = 'next' | 'active' | 'retired' | 'gone'

export interface KeyDescription {
  readonly class: KeyClass
  readonly alg: KeyAlgorithm
  readonly kid: string
  readonly state: KeyState
  readonly activateAt: number
  readonly createdAt: number
  /** When it stops verifying; `undefined` while it has no successor. */
  readonly goneAt: number | undefined
  readonly development: boolean
}

interface Placed {
  readonly key: RingKey
  readonly state: KeyState
  readonly goneAt: number | undefined
}

/** What holds from `from` until just before `until`. */
interface View {
  readonly from: number
  readonly until: number
  readonly placed: readonly Placed[]
  readonly verification: Readonly<Record<KeyClass, KeySet>>
  readonly jwks: { readonly keys: readonly JsonWebKey[] }
}

export class KeyRing {
  #keys: readonly RingKey[] = []
  /** By `kid`; `undefined` where the key was never in this ring. */
  readonly #struck = new Map<string, Pick<RingKey, 'class' | 'alg'> | undefined>()
  #view: View | undefined

  constructor(keys: readonly RingKey[]) {
    this.replace(keys)
  }

  /** Swaps all keys at once, after a reload. One key in two classes is refused: it would undo what classes are for. */
  replace(keys: readonly RingKey[]): void {
    if (new Set(keys.map((key) => key.kid)).size !== keys.length) {
      throw new Error('a key may stand in the ring only once, in one class')
    }
    this.#keys = [...keys].sort(
      (a, b) => a.activateAt - b.activateAt || a.createdAt - b.createdAt || (a.kid < b.kid ? -1 : 1),
    )
    this.#view = undefined
  }

  /** A key was killed. Absolute: whatever says that token is the killer's or ours, it was signed by a key others may hold. */
  strike(kid: string): void {
    this.#struck.set(kid, this.known(kid))
    this.#view = undefined
  }

  /** A key of this ring, also one that has left it for being killed. */
  known(kid: string): Pick<RingKey, 'class' | 'alg'> | undefined {
    return this.#keys.find((key) => key.kid === kid) ?? this.#struck.get(kid)
  }

  isStruck(kid: string): boolean {
    return this.#struck.has(kid)
  }

  /** The key that signs now. @throws Rejection `keys_not_ready` */
  active(cls: KeyClass, alg: string, now: number): SigningKey {
    const found = this.#at(now).placed.find(
      ({ key, state }) => state === 'active' && key.class === cls && key.alg === alg,
    )
    if (found === undefined) throw new Rejection('keys_not_ready', `no active ${cls} key for ${alg}`)
    return found.key.signing
  }

  /** Every key whose tokens may still be alive, and the announced ones: another broker's clock may be ahead of ours. */
  verificationKeys(cls: KeyClass, now: number): KeySet {
    return this.#at(now).verification[cls]
  }

  /** What `/jwks` answers: public members of the published classes only. */
  jwks(now: number): { readonly keys: readonly JsonWebKey[] } {
    return this.#at(now).jwks
  }

  describe(now: number): readonly KeyDescription[] {
    return this.#at(now).placed.map(({ key, state, goneAt }) => ({
      class: key.class,
      alg: key.alg,
      kid: key.kid,
      state,
      activateAt: key.activateAt,
      createdAt: key.createdAt,
      goneAt,
      development: key.development,
    }))
  }

  /**
   * Every class can sign, and every announced key is here: a broker that lacks one would refuse the tokens of its peers.
   * A group whose first key is still announced does not count: adding an algorithm must not take a broker down.
   */
  ready(now: number, announcedKids: readonly string[] = []): boolean {
    const { placed } = this.#at(now)
    return (
      KEY_CLASSES.every((cls) => placed.some(({ key, state }) => state === 'active' && key.class === cls)) &&
      announcedKids.every((kid) => this.#keys.some((key) => key.kid === kid))
    )
  }

  #at(now: number): View {
    if (!Number.isSafeInteger(now)) throw new TypeError('now must be whole epoch seconds')
    const current = this.#view
    if (current !== undefined && now >= current.from && now < current.until) return current
    this.#view = viewAt(
      this.#keys.filter(({ kid }) => !this.#struck.has(kid)),
      now,
    )
    return this.#view
  }
}

function viewAt(keys: readonly RingKey[], now: number): View {
  const placed = keys.map((key, index) => place(key, keys.slice(index + 1), now))
  const alive = placed.filter(({ state }) => state !== 'gone')
  const changes = placed.flatMap(({ key, goneAt }) =>
    goneAt === undefined ? [key.activateAt] : [key.activateAt, goneAt],
  )
  const verification = (cls: KeyClass): KeySet =>
    KeySet.of(alive.filter(({ key }) => key.class === cls).map(({ key }) => key.verification))
  return {
    from: now,
    until: Math.min(...changes.filter((at) => at > now), Number.POSITIVE_INFINITY),
    placed,
    verification: {
      access: verification('access'),
      internal: verification('internal'),
      statement: verification('statement'),
    },
    jwks: { keys: alive.filter(({ key }) => key.class !== 'internal').map(({ key }) => key.publicJwk) },
  }
}

/** @param later the keys after it in order of activation. */
function place(key: RingKey, later: readonly RingKey[], now: number): Placed {
  const successor = later.find((other) => other.class === key.class && other.alg === key.alg)
  const goneAt = successor === undefined ? undefined : successor.activateAt + KEEP_SECONDS[key.class]
  if (key.activateAt > now) return { key, state: 'next', goneAt }
  if (successor === undefined || goneAt === undefined || successor.activateAt > now) {
    return { key, state: 'active', goneAt }
  }
  return { key, state: now < goneAt ? 'retired' : 'gone', goneAt }
}
