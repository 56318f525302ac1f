/** `client_secret_basic` at every endpoint that authenticates clients (RFC 6749 §2.3.1): off unless switched on, never more. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newClientSecret } from '../../src/credentials/client/client-secret.ts'
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import { expectRefused, invalidClient, invalidRequest, toStranger } from '../support/refusal.ts'
import { type Answer, registryDocument, startWorld, WIKI, type World } from '../support/world.ts'

type Entry = Record<string, unknown>

const DAY_S = 86_400
const secret = newClientSecret()
const successor = newClientSecret()
const lapsed = newClientSecret()
const paths = ['/token', '/introspect', '/revoke']

let on: World
let off: World

beforeAll(async () => {
  off = await startWorld()
  const { agents, services } = registryDocument(off.idp)
  const time = (days: number) => new Date((off.now() + days * DAY_S) * 1000).toISOString()
  const entry = (id: string, version: string, sha256: string, days: readonly [number, number]) => ({
    id,
    version,
    sha256,
    issued_at: time(days[0]),
    expires_at: time(days[1]),
  })
  const secrets: Readonly<Record<string, readonly Entry[]>> = {
    orchestrator: [
      entry('autumn', '4', secret.fingerprint(), [-80, 1]),
      entry('winter', '5', successor.fingerprint(), [0, 89]),
    ],
    researcher: [entry('lapsed', '1', lapsed.fingerprint(), [-90, -1])],
    'wiki-server': [entry('wiki', '1', successor.fingerprint(), [0, 89])],
  }
  const withSecrets = (entries: unknown) =>
    (entries as Entry[]).map((client) => ({ ...client, client_secrets: secrets[String(client['client_id'])] ?? [] }))
  on = await startWorld({
    issuer: off.idp,
    settings: { clientSecretBasic: true },
    registry: { agents: withSecrets(agents), services: withSecrets(services) },
  })
})
afterAll(async () => {
  await on.close()
  await off.close()
})

const basic = (id: string, text: string) => ({
  Authorization: `Basic ${Buffer.from(`${id}:${text}`).toString('base64')}`,
})
const body = { '/token': { grant_type: 'client_credentials', resource: WIKI } } as const
const ask = (path: string, headers: Record<string, string>, more: Entry = {}, world = on): Promise<Answer> =>
  world.post(path, { ...(path === '/token' ? body['/token'] : { token: world.idToken() }), ...more }, headers)

describe('where it is switched on', () => {
  test('both secrets of a rotation authenticate, at every endpoint, again and again', async () => {
    for (const path of paths) {
      for (const [text, id, version] of [
        [secret.reveal(), 'autumn', '4'],
        [successor.reveal(), 'winter', '5'],
        [secret.reveal(), 'autumn', '4'],
      ] as const) {
        const answer = await ask(path, basic('orchestrator', text))
        expect([path, answer.status], JSON.stringify(answer.body)).toEqual([path, 200])
        if (path !== '/token') continue
        const record = (await on.audit()).find((one) => one.id === answer.body.decision_id)
        expect(record).toMatchObject({
          client_auth: { method: 'client_secret_basic', credential: id },
          agent: { id: 'orchestrator', version },
        })
      }
    }
  })

  test('the record names the secret used, and nothing anywhere holds the secret', async () => {
    await ask('/introspect', basic('wiki-server', successor.reveal()))
    const records = await on.audit(1_000)
    expect(records.some(({ client_auth: auth }) => auth?.credential === 'wiki')).toBe(true)
    const text = JSON.stringify(records)
    for (const one of [secret, successor]) {
      expect(text).not.toContain(one.reveal())
      expect(text).not.toContain(one.fingerprint())
      expect(text).not.toContain(Buffer.from(`orchestrator:${one.reveal()}`).toString('base64').slice(4, 60))
    }
  })

  test('H66: whatever is wrong, the answer is the same to the byte, in the scheme that was tried', async () => {
    const wrong: [Record<string, string>, RejectionReason][] = [
      [basic('nobody', secret.reveal()), 'client_unknown'],
      [basic('orchestrator', newClientSecret().reveal()), 'client_secret_wrong'],
      [basic('orchestrator', lapsed.reveal()), 'client_secret_wrong'],
      [basic('warehouse-server', secret.reveal()), 'client_secret_wrong'],
      [basic('researcher', lapsed.reveal()), 'client_secret_expired'],
      [{ Authorization: 'Basic b3JjaGVzdHJhdG9y' }, 'client_secret_malformed'],
    ]
    for (const path of paths) {
      const answers: string[] = []
      for (const [headers, reason] of wrong) {
        const { answer } = await expectRefused(on, () => ask(path, headers), invalidClient(reason))
        expect(answer.headers.get('www-authenticate')).toBe('Basic realm="errand"')
        answers.push(JSON.stringify(answer.body))
      }
      expect(new Set(answers).size).toBe(1)
    }
  })

  test('RFC 6749 §2.3: a secret beside an assertion, or beside a secret in the body, is refused, not preferred', async () => {
    const refused = toStranger(invalidRequest('client_authentication_ambiguous'))
    const header = basic('orchestrator', secret.reveal())
    for (const path of paths) {
      await expectRefused(on, () => ask(path, header, on.authentication('orchestrator')), refused)
      await expectRefused(on, () => ask(path, header, { client_secret: secret.reveal() }), refused)
      await expectRefused(on, () => ask(path, header, { client_id: 'researcher' }), refused)
    }
  })

  test('OAuth 2.1 §2.4: a good secret in the body authenticates nobody', async () => {
    const inBody = { client_id: 'orchestrator', client_secret: secret.reveal() }
    await expectRefused(on, () => ask('/token', {}, inBody), invalidClient('client_authentication_unsupported'))
  })

  test('a secret stops at its end, and its successor goes on', async () => {
    const own = await startWorld({
      issuer: off.idp,
      settings: { clientSecretBasic: true },
      registry: {
        agents: (registryDocument(off.idp)['agents'] as Entry[]).map((client) => ({
          ...client,
          client_secrets: [
            { ...times(-1, 60), id: 'a', version: '1', sha256: secret.fingerprint() },
            { ...times(-1, 3600), id: 'b', version: '2', sha256: successor.fingerprint() },
          ],
        })),
      },
    })
    expect((await ask('/token', basic('orchestrator', secret.reveal()), {}, own)).status).toBe(200)
    await own.advance(60)
    expect((await ask('/token', basic('orchestrator', secret.reveal()), {}, own)).status).toBe(401)
    expect((await ask('/token', basic('orchestrator', successor.reveal()), {}, own)).status).toBe(200)
    await own.close()
  })

  test('RFC 8414 §2: the metadata say so, for all three endpoints', async () => {
    const { body: metadata } = await on.request('/.well-known/oauth-authorization-server')
    for (const endpoint of ['token', 'introspection', 'revocation']) {
      const methods = metadata[`${endpoint}_endpoint_auth_methods_supported`]
      expect(methods).toEqual(['private_key_jwt', 'client_secret_basic'])
    }
  })
})

describe('where it is not switched on, as by default', () => {
  test('RFC 6749 §2.3.1: a secret of the registry authenticates nobody, and the metadata do not offer it', async () => {
    const registry = registryDocument(off.idp)
    const agents = (registry['agents'] as Entry[]).map((client) => ({
      ...client,
      client_secrets: [{ ...times(-1, 3600), id: 'a', version: '1', sha256: secret.fingerprint() }],
    }))
    const own = await startWorld({ issuer: off.idp, registry: { agents } })
    for (const path of paths) {
      const refused = invalidClient('client_authentication_unsupported')
      await expectRefused(own, () => ask(path, basic('orchestrator', secret.reveal()), {}, own), refused)
    }
    const { body: metadata } = await own.request('/.well-known/oauth-authorization-server')
    expect(metadata.token_endpoint_auth_methods_supported).toEqual(['private_key_jwt'])
    await own.close()
  })
})

function times(fromSeconds: number, toSeconds: number) {
  const at = (seconds: number) => new Date((off.now() + seconds) * 1000).toISOString()
  return { issued_at: at(fromSeconds), expires_at: at(toSeconds) }
}
