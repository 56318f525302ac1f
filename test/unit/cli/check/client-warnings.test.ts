import { describe, expect, test } from 'vitest'
import { clientWarnings } from '../../../../src/cli/check/client-warnings.ts'
import { decodeRegistry } from '../../../../src/registry/load-registry.ts'
import { testSettings, validDocument } from '../policy-document.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z') / 1000
const DAY_S = 86_400
const secret = (id: string, from: number, to: number) => ({
  id,
  version: '1',
  sha256: `${id.padEnd(42, 'x')}A`,
  issued_at: new Date((NOW + from * DAY_S) * 1000).toISOString(),
  expires_at: new Date((NOW + to * DAY_S) * 1000).toISOString(),
})

function warningsOf(change: Record<string, unknown>, on = true): readonly string[] {
  const document = validDocument()
  Object.assign(document.agents[0] ?? {}, change)
  const registry = decodeRegistry(document, 'registry.yaml', { issuer: testSettings.issuer })
  return clientWarnings(registry, { ...testSettings, clientSecretBasic: on }, NOW)
}

describe('warnings about how clients authenticate', () => {
  test('there are none about keys, nor about a secret that is good for weeks', () => {
    expect(warningsOf({})).toEqual([])
    expect(warningsOf({ client_secrets: [secret('a', -60, 15)] })).toEqual([])
  })

  test.each<[string, Record<string, unknown>, boolean]>([
    ['secret a expires at 2026-12-04T12:00:00Z', { client_secrets: [secret('a', -60, 13)] }, true],
    ['secret a has expired', { client_secrets: [secret('a', -60, 0)] }, true],
    ['secret a has expired', { client_secrets: [secret('a', -60, -1), secret('b', 0, 80)] }, true],
    ['secret b expires at', { client_secrets: [secret('a', -60, 2), secret('b', -59, 3)] }, true],
    ['client_secret_basic is off', { client_secrets: [secret('a', 0, 80)] }, false],
    ['legacy_assertion_audience accepts', { legacy_assertion_audience: true }, true],
    ['assertion_reuse lets', { assertion_reuse: 'until_exp' }, true],
    ['client_certificates is not configured', { tls_client_certificate_bound_access_tokens: true }, true],
  ])('%s', (warning, change, on) => {
    expect(warningsOf(change, on).join('\n')).toContain(warning)
  })

  test('a secret that ends while its successor goes on is as it should be', () => {
    expect(warningsOf({ client_secrets: [secret('a', -60, 1), secret('b', 0, 80)] })).toEqual([])
  })

  test('nothing is said of a client that is retired', () => {
    expect(warningsOf({ state: 'retired', assertion_reuse: 'until_exp' })).toEqual([])
  })
})
