/** What the fixture files of this folder have in common: one workload on one platform, and a fresh token of it. */
import { randomUUID } from 'node:crypto'
import { type Draft, publicJwk, type TestAlg, testKey } from '../keys.ts'

export interface PlatformFixture {
  /** As the registry spells it. */
  readonly platform: string
  /** The `iss` its tokens carry, spelled as the platform publishes it. */
  readonly issuer: string
  readonly alg: TestAlg
  /** `kid` of the key that signs; keys are made when a test starts. */
  readonly kid: string
  /** What a token says beside `iss`, `aud` and its times; `now` in epoch seconds. */
  claims(now: number): Readonly<Record<string, unknown>>
  /** JOSE header members beside `alg` and `kid`. */
  readonly header: Readonly<Record<string, unknown>>
  /** The platform writes `aud` as a list even where it is one. */
  readonly listsAudience?: boolean
  /** Its key set leaves `alg` out, and carries these instead. */
  readonly keyWithoutAlg?: Readonly<Record<string, unknown>>
  /** Seconds from `iat` to `exp` that the platform gives by default, and from `nbf` to `iat` where it writes `nbf`. */
  readonly lifetime: number
  readonly notBefore?: number
}

/** A token that has just been issued for `audience`, signed by the platform. */
export function platformToken(fixture: PlatformFixture, audience: string, now: number): Draft {
  const { issuer, alg, kid, header, listsAudience, lifetime, notBefore } = fixture
  return {
    key: testKey(kid, alg),
    header,
    claims: {
      iss: issuer,
      aud: listsAudience === true ? [audience] : audience,
      iat: now,
      ...(notBefore === undefined ? {} : { nbf: now - notBefore }),
      exp: now + lifetime,
      ...fixture.claims(now),
    },
  }
}

/** The platform's key set, as it is published. */
export function platformKeys({ kid, alg, keyWithoutAlg }: PlatformFixture): { readonly keys: readonly object[] } {
  const { alg: own, ...jwk } = publicJwk(testKey(kid, alg))
  return { keys: [keyWithoutAlg === undefined ? { ...jwk, alg: own } : { ...jwk, ...keyWithoutAlg }] }
}

export const newJti = () => randomUUID()
