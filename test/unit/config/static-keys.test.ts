/** R022: no static key opens the admin API, and a broker that is given one does not start. */
import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeConfig } from '../../../src/config/load-config.ts'
import { assertNoStaticKeySet } from '../../../src/config/static-keys.ts'
import { ConfigurationError } from '../../../src/registry/strict-document.ts'

const BROKER = {
  issuer: 'https://errand.example',
  listen: { port: 4400 },
  environment: 'production',
  store: { kind: 'embedded', directory: 'data' },
  keys: { directory: 'keys' },
}

describe('an environment with a static admin key', () => {
  test.each([
    'ADMIN_KEY',
    'ERRAND_ADMIN_KEY',
    'ADMIN_TOKEN',
    'ADMIN_API_KEY',
    'ERRAND_ADMIN_TOKEN_FILE',
    'ADMIN_PASSWORD',
    'MASTER_KEY',
    'ROOT_TOKEN',
    'BOOTSTRAP_TOKEN',
    'ERRAND_API_KEY',
    'ERRAND_TOKEN',
    'errand_admin_secret',
  ])('%s is refused, by its name and with what to do instead', (name) => {
    expect(() => assertNoStaticKeySet(['PATH', name])).toThrow(ConfigurationError)
    expect(() => assertNoStaticKeySet(['PATH', name])).toThrow(`${name} is set: there is no static admin key here`)
  })

  test.each([
    'ERRAND_CONFIG',
    'PATH',
    'AWS_ACCESS_KEY_ID',
    'GITHUB_TOKEN',
    'NPM_TOKEN',
    'SSH_AUTH_SOCK',
    'TOKEN',
  ])('%s is somebody else’s matter', (name) => {
    expect(() => assertNoStaticKeySet([name])).not.toThrow()
  })
})

describe('a setting that would be one', () => {
  test.each([
    ['admin_key', { admin_key: 'k' }],
    ['api_key', { api_key: 'k' }],
    ['adminToken', { adminToken: 'k' }],
    ['listen.admin_key', { listen: { port: 4400, admin_key: 'k' } }],
  ])('%s is refused with what to do instead, and never repeated', (name, more) => {
    let problems: readonly string[] = []
    try {
      decodeConfig({ ...BROKER, ...more }, 'errand.yaml', '/')
    } catch (fault) {
      problems = (fault as ConfigurationError).problems
    }
    expect(problems).toEqual([expect.stringMatching(new RegExp(`^errand.yaml: ${name}: there is no static admin key`))])
  })

  test('the configuration without it is fine', () => {
    expect(decodeConfig(BROKER, 'errand.yaml', '/').admins).toEqual([])
  })
})

test('the process does not start', () => {
  const root = resolve(import.meta.dirname, '../../..')
  const run = () =>
    execFileSync(process.execPath, ['src/main.ts', 'serve', '--config', 'nowhere.yaml'], {
      cwd: root,
      env: { ...process.env, ADMIN_KEY: 'let-me-in' },
      encoding: 'utf8',
      stdio: 'pipe',
    })
  let fault: { status?: number; stderr?: string } = {}
  try {
    run()
  } catch (thrown) {
    fault = thrown as typeof fault
  }
  expect(fault.status).not.toBe(0)
  expect(fault.stderr).toContain('ADMIN_KEY is set: there is no static admin key here')
  expect(fault.stderr).not.toContain('let-me-in')
})
