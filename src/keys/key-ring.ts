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
import type { KeySet } from '../jose/key-set.ts'
import type { SigningKey } from '../jose/sign-jwt.ts'
import { Rejection } from '../kernel/rejection.ts'
import {
  type AnnouncedKey,
  inOrder,
  KEY_CLASSES,
  type KeyAlgorithm,
  type KeyClass,
  type KeyState,
  type RingKey,
  type View,
  viewAt,
} from './ring-view.ts'

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

/** From so long before a key signs its file must be here: a broker that is not ready is taken out of service in that time. */
export const ANNOUNCED_LEAD_S = 30

type NamedKey = Pick<RingKey, 'class' | 'alg' | 'kid'>

export class KeyRing {
  #keys: readonly RingKey[] = []
  /** By `kid`; `undefined` where the key was never in this ring. */
  readonly #struck = new Map<string, Pick<RingKey, 'class' | 'alg'> | undefined>()
  #announced: readonly AnnouncedKey[] = []
  /** Keys, as they call themselves, of another ring that this store belongs to. */
  #foreign: readonly NamedKey[] = []
  #view: View | undefined

  constructor(keys: readonly RingKey[]) {
    this.replace(keys)
  }

  /** Swaps all keys at once, after a reload. One key in two classes is refused: it would undo what classes are for. */
  replace(keys: readonly RingKey[]): void {
    if (new Set(keys.map((key) => key.kid)).size !== keys.length) {
      throw new Error('a key may stand in the ring only once, in one class')
    }
    this.#keys = [...keys]
    this.#view = undefined
  }

  /** What other brokers have announced. @param foreign whose the store is, where it is not this ring's: never believed */
  announce(keys: readonly AnnouncedKey[], foreign: readonly NamedKey[]): void {
    this.#announced = keys
    this.#foreign = foreign
    this.#view = undefined
  }

  /** The keys whose files are here, but for the killed. */
  held(): readonly RingKey[] {
    return this.#keys.filter(({ kid }) => !this.#struck.has(kid))
  }

  /** Changes whenever a key comes, goes, or is killed. */
  fingerprint(): string {
    return [...this.held().map(({ kid }) => kid), '-', ...this.#struck.keys()].join(' ')
  }

  /** A key was killed. Absolute: whatever says that token is the killer's or ours, it was signed by a key others may hold. */
  strike(kid: string): void {
    this.#struck.set(kid, this.known(kid))
    this.#view = undefined
  }

  /** A key of this ring, also one that has left it for being killed. */
  known(kid: string): Pick<RingKey, 'class' | 'alg'> | undefined {
    const key =
      [...this.#keys, ...this.#announced, ...this.#foreign].find((one) => one.kid === kid) ?? this.#struck.get(kid)
    return key === undefined ? undefined : { class: key.class, alg: key.alg }
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
    // Not its predecessor: what that signed from now on could outlive it.
    if (!('signing' in found.key))
      throw new Rejection('keys_not_ready', `the file of ${cls} key ${found.key.kid} is missing`)
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
      development: 'development' in key && key.development,
    }))
  }

  /**
   * Why this broker should not be asked, or nothing: every class can sign, every announced key is here before it signs (a
   * broker that lacks one would refuse the tokens of its peers), and no kill has left a group without a signer. A group whose
   * first key is still announced does not count: adding an algorithm must not take a broker down.
   */
  problem(now: number): string | undefined {
    if (this.#foreign.length > 0) {
      return `the key files here are not of the ring that this store belongs to (${this.#foreign.map(({ kid }) => kid).join(', ')}): mount its files`
    }
    const [lacking] = this.lacking(now).filter(({ activateAt }) => activateAt - now <= ANNOUNCED_LEAD_S)
    if (lacking !== undefined) return `the file of ${lacking.class} key ${lacking.kid} is not in the key directory here`
    const { placed } = this.#at(now)
    const signs = (cls: KeyClass, alg?: string) =>
      placed.some(({ key, state }) => state === 'active' && key.class === cls && (alg ?? key.alg) === key.alg)
    const cls = KEY_CLASSES.find((one) => !signs(one))
    if (cls !== undefined) return `no active ${cls} key`
    const killed = [...this.#struck.values()].find((key) => key !== undefined && !signs(key.class, key.alg))
    return killed === undefined
      ? undefined
      : `the ${killed.class} key was killed and none signs ${killed.alg} now: errand keys rotate --class ${killed.class} --alg ${killed.alg} --now`
  }

  /** Announced keys whose files are not here, and whose tokens may be, or will be, alive. */
  lacking(now: number): readonly AnnouncedKey[] {
    return this.#at(now).placed.flatMap(({ key, state }) => (state !== 'gone' && !('signing' in key) ? [key] : []))
  }

  #at(now: number): View {
    if (!Number.isSafeInteger(now)) throw new TypeError('now must be whole epoch seconds')
    const current = this.#view
    if (current !== undefined && now >= current.from && now < current.until) return current
    const held = this.held()
    const isHeld = ({ kid }: AnnouncedKey) => held.some((key) => key.kid === kid)
    const others = this.#announced.filter(
      (key) => !isHeld(key) && !this.#struck.has(key.kid) && !this.#struck.has(key.by),
    )
    this.#view = viewAt([...held, ...others].sort(inOrder), now)
    return this.#view
  }
}
