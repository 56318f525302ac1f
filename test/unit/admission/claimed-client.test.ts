import fc from 'fast-check'
import { expect, test } from 'vitest'
import { claimedName } from '../../../src/admission/claimed-client.ts'
import { NAME_CHARS_MAX, TOKEN_CHARS_MAX } from '../../../src/kernel/limits.ts'
import { Secret } from '../../../src/kernel/secret.ts'

const NOBODY = { clientId: undefined, assertion: undefined, basic: undefined }
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const assertion = (header: unknown, claims: unknown) => `${encode(header)}.${encode(claims)}.c2ln`
const byJwt = (header: unknown, claims: unknown) => claimedName({ ...NOBODY, assertion: assertion(header, claims) })
const byBasic = (text: string) => claimedName({ ...NOBODY, basic: new Secret(Buffer.from(text).toString('base64')) })

test('an assertion names its issuer, a Basic header its user; without one the client_id parameter does', () => {
  expect(byJwt({ kid: 'k1' }, { iss: 'agent' })).toEqual({ client: 'agent', recognisedBy: 'jwt\nagent\nk1' })
  expect(byBasic('agent:secret')?.client).toBe('agent')
  expect(claimedName({ ...NOBODY, clientId: 'agent' })).toEqual({ client: 'agent', recognisedBy: 'id\nagent' })
  expect(claimedName(NOBODY)).toBeUndefined()
})

test('whatever a stranger varies beside the id, it is one client; and it is not recognised as that client', () => {
  const own = byJwt({ kid: 'k1' }, { iss: 'agent' })
  for (const other of [
    byJwt({ kid: 'k2' }, { iss: 'agent' }),
    byJwt({}, { iss: 'agent', sub: 'x' }),
    byBasic('agent:k1'),
  ]) {
    expect(other?.client).toBe(own?.client)
    expect(other?.recognisedBy).not.toBe(own?.recognisedBy)
  }
  expect(byBasic('agent:guess')?.recognisedBy).not.toBe(byBasic('agent:secret')?.recognisedBy)
  expect(JSON.stringify(byBasic('agent:secret'))).not.toMatch(/secret|c2VjcmV0/)
})

test('of a platform each workload is one client, recognised by itself: one is not held for the failures of another', () => {
  const [one, other] = ['job/1', 'job/2'].map((sub) => byJwt({ kid: 'k' }, { iss: 'https://ci.example', sub }))
  expect(one?.client).not.toBe(other?.client)
  expect(one?.recognisedBy).not.toBe(other?.recognisedBy)
  expect(byJwt({ kid: 'k' }, { iss: 'https://ci.example', sub: 'job/1', jti: 'next' })).toEqual(one)
  const byItsUrl = { iss: 'https://agent.example/metadata', sub: 'https://agent.example/metadata' }
  expect(byJwt({ kid: 'k' }, byItsUrl)?.client).toBe(encodeURIComponent(byItsUrl.iss))
})

test('no value spells another: line breaks, inherited members and other types', () => {
  expect(byJwt({ kid: 'c' }, { iss: 'a\nb' })?.recognisedBy).not.toBe(
    byJwt({ kid: 'b\nc' }, { iss: 'a' })?.recognisedBy,
  )
  expect(byJwt({ kid: 7 }, { iss: ['agent'] })).toEqual({ client: '', recognisedBy: 'jwt\n\n' })
  expect(byJwt([], 'agent')).toEqual({ client: '', recognisedBy: 'jwt\n\n' })
})

test('property: any text is a name of bounded length, and nothing throws', () => {
  const texts = fc.oneof(
    fc.string({ maxLength: 400, unit: 'binary' }),
    fc.tuple(fc.jsonValue(), fc.jsonValue()).map(([header, claims]) => assertion(header, claims)),
    fc.constant(`${'['.repeat(TOKEN_CHARS_MAX - 2)}.e`),
    fc.constant('e30.'.repeat(TOKEN_CHARS_MAX)),
    fc.constant(assertion({ kid: '\ud800'.repeat(999) }, { iss: 'i'.repeat(9_999) })),
  )
  fc.assert(
    fc.property(texts, (text) => {
      for (const claimed of [
        { assertion: text },
        { basic: new Secret(text) },
        { clientId: text },
        { bearer: new Secret(text) },
      ]) {
        const name = claimedName({ ...NOBODY, ...claimed })
        expect(name?.client ?? '').not.toContain('\n')
        expect(JSON.stringify(name ?? '').length).toBeLessThan(3 * 9 * NAME_CHARS_MAX + 100)
      }
    }),
  )
})
