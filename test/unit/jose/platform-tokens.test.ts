/** Tokens of the platforms that agents run on, in the forms their documentation publishes, through the front door to bytes. */
import { describe, expect, it } from 'vitest'
import { parseKeySet } from '../../../src/jose/key-set.ts'
import { verifyJwt } from '../../../src/jose/verify-jwt.ts'
import { sign } from '../../support/keys.ts'
import { PLATFORMS } from '../../support/platforms/all.ts'
import { platformKeys, platformToken } from '../../support/platforms/platform.ts'

const NOW = 1_795_000_000
const AUDIENCE = 'https://errand.example'

describe.each(Object.entries(PLATFORMS))('%s', (_name, fixture) => {
  const rules = {
    keys: parseKeySet(platformKeys(fixture), [fixture.alg]),
    algorithms: [fixture.alg],
    typ: [undefined, 'jwt'],
    issuer: fixture.issuer,
    audience: { contains: AUDIENCE },
    requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat'],
    now: NOW,
    skewSeconds: 0,
    lifetimeSecondsMax: undefined,
  }

  it('is verified with the keys its platform publishes', async () => {
    const draft = platformToken(fixture, AUDIENCE, NOW)
    const verified = await verifyJwt(sign(draft), rules)
    expect(verified.claims).toEqual(draft.claims)
    expect(verified.audience).toEqual([AUDIENCE])
  })

  it('is refused a second after its end', async () => {
    const token = sign(platformToken(fixture, AUDIENCE, NOW))
    await expect(verifyJwt(token, { ...rules, now: NOW + fixture.lifetime })).rejects.toMatchObject({ code: 'expired' })
  })
})
