import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { authenticateBySecret, newClientSecret } from '../../../../src/credentials/client/client-secret.ts'
import { CLOCK_SKEW_S } from '../../../../src/kernel/limits.ts'
import { Secret } from '../../../../src/kernel/secret.ts'
import type { ClientSecret } from '../../../../src/model/client.ts'
import { agent, NOW, refusal, registry, service } from '../fixtures.ts'

const digestOf = (text: string) => createHash('sha256').update(text).digest()
const registered = (id: string, secret: Secret, over: Partial<ClientSecret> = {}): ClientSecret => ({
  id,
  digest: digestOf(secret.reveal()),
  version: '1',
  issuedAt: NOW - 100,
  expiresAt: NOW + 100,
  ...over,
})

const [old, next, expired, future, others] = Array.from({ length: 5 }, () => newClientSecret()) as [
  Secret,
  Secret,
  Secret,
  Secret,
  Secret,
]
const password = new Secret('correct horse battery staple')
const known = registry({
  clients: [
    agent('rotating', { secrets: [registered('s1', old), registered('s2', next, { version: '2' })] }),
    agent('late', { secrets: [registered('s1', expired, { expiresAt: NOW })] }),
    agent('early', { secrets: [registered('s1', future, { issuedAt: NOW + CLOCK_SKEW_S + 1 })] }),
    agent('home-made', { secrets: [registered('s1', password)] }),
    agent('keys-only'),
    service('warehouse', { secrets: [registered('s1', others)] }),
  ],
})

const encode = (text: string) => new Secret(Buffer.from(text).toString('base64'))
const basic = (id: string, secret: Secret) => encode(`${id}:${secret.reveal()}`)
// Like `prepareAuthentication`, whose promise it is part of.
const present = async (credentials: Secret, clientId?: string, now = NOW) =>
  authenticateBySecret(credentials, clientId, { registry: known, now })

describe('client_secret_basic (RFC 6749 section 2.3.1)', () => {
  it('makes secrets of 256 bits, each another, in letters that no encoding changes', () => {
    const made = Array.from({ length: 50 }, () => newClientSecret().reveal())
    expect(new Set(made).size).toBe(50)
    for (const text of made) {
      expect(Buffer.from(text.slice('errand_secret_'.length), 'base64url')).toHaveLength(32)
      expect(encodeURIComponent(text)).toBe(text)
    }
  })

  it('accepts both secrets of a rotation, and says which it was and for which version', async () => {
    const first = await present(basic('rotating', old))
    const second = await present(basic('rotating', next), 'rotating')
    expect([first.version, first.authentication.credential]).toEqual(['1', 's1'])
    expect([second.version, second.authentication.credential]).toEqual(['2', 's2'])
    expect(first.authentication.method).toBe('client_secret_basic')
    expect((await present(basic('warehouse', others))).client.kind).toBe('service')
  })

  it('says that nothing of it is used up', async () => {
    const { singleUse, assertionKey } = await present(basic('rotating', old))
    expect([singleUse, assertionKey]).toEqual([undefined, undefined])
  })

  it('decodes both parts, as the RFC encodes them, and takes them as MCP SDKs send them', async () => {
    const every = (text: string) =>
      [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
    const encoded = encode(`${every('rotating')}:${every(old.reveal())}`)
    expect((await present(encoded)).client.clientId).toBe('rotating')
  })

  it.each([
    ['nothing', ''],
    ['no base64', '!!!!'],
    ['base64 without its padding', Buffer.from(`late:${old.reveal()}`).toString('base64').replace(/=+$/, '')],
    ['the URL alphabet', Buffer.from('rotating:??>>??>>').toString('base64url')],
    ['two credentials', `${basic('rotating', old).reveal()} ${basic('rotating', old).reveal()}`],
    ['no colon', encode('rotating').reveal()],
    ['no id', encode(`:${old.reveal()}`).reveal()],
    ['no secret', encode('rotating:').reveal()],
    ['a broken percent sign', encode('rotating:%zz').reveal()],
    ['half a character', encode('rotating:%c3').reveal()],
    ['a line break', encode(`rotating:${old.reveal()}\n`).reveal()],
    ['more than fits', encode(`rotating:${'x'.repeat(1_024)}`).reveal()],
  ])('refuses %s', async (_what, text) => {
    expect(await refusal(present(new Secret(text)))).toBe('client_secret_malformed')
  })

  it('refuses what is not a secret of this client', async () => {
    for (const wrong of [others, expired, newClientSecret(), new Secret(`${old.reveal()}x`), new Secret('x')]) {
      expect(await refusal(present(basic('rotating', wrong)))).toBe('client_secret_wrong')
    }
    expect(await refusal(present(basic('keys-only', old)))).toBe('client_secret_wrong')
  })

  it('refuses a client that is not registered, whoever’s secret it knows', async () => {
    for (const name of ['nobody', 'constructor', '__proto__', 'ROTATING', 'rotating ']) {
      expect(await refusal(present(encode(`${encodeURIComponent(name)}:${old.reveal()}`)))).toBe('client_unknown')
    }
  })

  it('refuses a password, though somebody has registered its digest', async () => {
    expect(await refusal(present(encode(`home-made:${encodeURIComponent(password.reveal())}`)))).toBe(
      'client_secret_wrong',
    )
  })

  it('refuses a secret before its time and from its end on, without tolerance at the end', async () => {
    expect(await refusal(present(basic('late', expired)))).toBe('client_secret_expired')
    expect((await present(basic('late', expired), undefined, NOW - 1)).version).toBe('1')
    expect(await refusal(present(basic('early', future)))).toBe('client_secret_expired')
    expect((await present(basic('early', future), undefined, NOW + 1)).version).toBe('1')
  })

  it('refuses a client_id parameter that names another client', async () => {
    expect(await refusal(present(basic('rotating', old), 'late'))).toBe('client_authentication_ambiguous')
  })

  it('H66: takes as long for an unknown client as for a wrong secret, as far as a bystander can tell', async () => {
    const cases = [basic('nobody', old), basic('rotating', newClientSecret()), basic('keys-only', old)]
    const times = cases.map((): number[] => [])
    // In turns: whatever the machine does meanwhile, it does to all of them.
    for (let round = 0; round < 400; round += 1) {
      for (const [index, credentials] of cases.entries()) {
        const startedMs = performance.now()
        await refusal(present(credentials))
        times[index]?.push(performance.now() - startedMs)
      }
    }
    const medians = times.map((list) => list.sort((a, b) => a - b)[200] ?? 0)
    // A slow hash for known clients only would be a hundredfold: the bound is wide, the fault would be wider.
    expect(Math.max(...medians) / Math.min(...medians)).toBeLessThan(3)
  })
})
