/**
 * Several brokers on one ring: the private files are mounted on each machine, and the store holds what each has announced of
 * them, so that a broker that lacks a file knows it, says which, and is not ready before that key signs.
 *
 * The store is not trusted with keys. Whoever can write to it must not be able to make `/jwks` publish a key of theirs, nor make
 * a broker believe a token: so each announcement is signed by an internal key, and counts only where a broker holds that key's
 * *file*. No announced key vouches for another, so there is no chain to graft on; a killed key vouches for nothing from that
 * moment on, also for what it had vouched for before (`KeyRing.strike`). Announced access and statement keys are published and
 * verify; internal keys verify only where their file is, and their public half is not even announced. What a writer can do is
 * make brokers stop, as with anything else in the store.
 *
 * A broker whose files are of another ring than the store's joins nothing: it announces nothing and is not ready, and takes no
 * other broker down.
 */
import { z } from 'zod'
import { decodeJwt } from '../jose/decode-jws.ts'
import { importPublicJwk, thumbprint } from '../jose/jwk.ts'
import { signJwt } from '../jose/sign-jwt.ts'
import { parseStrictJson } from '../jose/strict-json.ts'
import { verifyJws } from '../jose/verify-jws.ts'
import { type Clock, epochSeconds } from '../kernel/clock.ts'
import { Secret } from '../kernel/secret.ts'
import { RING_ANNOUNCEMENTS_MAX } from '../kernel/store-limits.ts'
import type { KeyRing } from './key-ring.ts'
import { type AnnouncedKey, KEY_ALGORITHMS, KEY_CLASSES, type RingKey } from './ring-view.ts'

/** Of its own, so that no announcement passes for a token of the same key class, and no token for an announcement. */
const TYP = 'errand-key+jwt'

const CLAIMS = z.strictObject({
  iss: z.string(),
  class: z.enum(KEY_CLASSES),
  alg: z.enum(KEY_ALGORITHMS),
  kid: z.string(),
  activate_at: z.int().nonnegative(),
  created_at: z.int().nonnegative(),
  jwk: z.record(z.string(), z.unknown()).optional(),
})

/** Where announcements are kept: one text, replaced by compare-and-set. */
export interface RingDocument {
  read(): Promise<string | undefined>
  /** `false`: it is no longer `expected`, and nothing was changed. */
  replace(expected: string | undefined, text: string): Promise<boolean>
}

export interface SharedRingParts {
  readonly ring: KeyRing
  readonly document: RingDocument
  readonly issuer: string
  readonly clock: Clock
}

interface Entry extends Pick<AnnouncedKey, 'kid' | 'class' | 'alg'> {
  readonly text: string
  /** `undefined`: signed by a key whose file is not here. */
  readonly proven: AnnouncedKey | undefined
}

export class SharedRing {
  readonly #parts: SharedRingParts
  #joined = false
  /** What was last read and found in order. */
  #settled: string | undefined

  constructor(parts: SharedRingParts) {
    this.#parts = parts
  }

  /** Takes what others announce, and announces what is here. @throws StoreUnavailable */
  async sync(): Promise<void> {
    const { ring, document, clock } = this.#parts
    const found = await document.read()
    const state = `${ring.fingerprint()} ${found}`
    if (state === this.#settled) return
    const now = epochSeconds(clock)
    const texts = textsOf(found)
    const entries = (await Promise.all(texts.map((text) => this.#read(text, now)))).filter((one) => one !== undefined)
    const held = ring.held()
    const isOurs = ({ kid, proven }: Entry) => proven !== undefined || held.some((key) => key.kid === kid)
    this.#joined ||= entries.length === 0 || entries.some(isOurs)
    if (!this.#joined) {
      ring.announce([], entries)
      return
    }
    const proven = new Map(entries.flatMap((entry) => (entry.proven === undefined ? [] : [[entry.kid, entry.proven]])))
    ring.announce([...proven.values()], [])
    const gone = new Set(ring.describe(now).flatMap(({ kid, state: of }) => (of === 'gone' ? [kid] : [])))
    const missing = held.filter(({ kid }) => !proven.has(kid) && !gone.has(kid))
    const kept = entries.filter(
      ({ kid, proven: is }) => !gone.has(kid) && (is !== undefined || !missing.some((key) => key.kid === kid)),
    )
    const made = await Promise.all(missing.map((key) => this.#announcement(key, now)))
    const next = [...kept.map(({ text }) => text), ...made].slice(-RING_ANNOUNCEMENTS_MAX)
    if (next.length === texts.length && next.every((text, at) => text === texts[at])) this.#settled = state
    // Another broker was faster: the next look begins with what it has written.
    else await document.replace(found, JSON.stringify(next))
  }

  #announcement(key: RingKey, now: number): Promise<string> {
    const { ring, issuer } = this.#parts
    const { class: cls, alg, kid, activateAt, createdAt, publicJwk } = key
    return signJwt(ring.active('internal', 'ES256', now), TYP, {
      iss: issuer,
      class: cls,
      alg,
      kid,
      activate_at: activateAt,
      created_at: createdAt,
      ...(cls === 'internal' ? {} : { jwk: publicJwk }),
    })
  }

  /** `undefined`: nothing that could ever count. */
  async #read(text: string, now: number): Promise<Entry | undefined> {
    const { ring, issuer } = this.#parts
    try {
      const jws = decodeJwt(new Secret(text))
      const { class: cls, alg, kid, iss, jwk, ...times } = CLAIMS.parse(jws.claims)
      const by = jws.header.kid
      if (jws.header.typ !== TYP || iss !== issuer || by === undefined) return undefined
      if (ring.isStruck(kid) || ring.isStruck(by)) return undefined
      const entry = { text, kid, class: cls, alg }
      const vouchers = ring.verificationKeys('internal', now)
      if (!vouchers.has(by)) return { ...entry, proven: undefined }
      await verifyJws(jws, { keys: vouchers, algorithms: KEY_ALGORITHMS })
      const facts = { class: cls, alg, kid, by, activateAt: times.activate_at, createdAt: times.created_at }
      if (cls === 'internal') return { ...entry, proven: facts }
      if (thumbprint(jwk) !== kid) return undefined
      const verification = importPublicJwk(jwk)
      if (verification.kid !== kid || verification.alg !== alg) return undefined
      return { ...entry, proven: { ...facts, verification, publicJwk: { ...jwk } } }
    } catch {
      return undefined
    }
  }
}

function textsOf(found: string | undefined): readonly string[] {
  if (found === undefined) return []
  try {
    const value = parseStrictJson(found)
    return Array.isArray(value) ? value.filter((text) => typeof text === 'string').slice(0, RING_ANNOUNCEMENTS_MAX) : []
  } catch {
    return []
  }
}
