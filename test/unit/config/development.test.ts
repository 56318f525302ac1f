import { expect, test } from 'vitest'
import { developmentConfig } from '../../../src/config/development.ts'
import { decodeConfig } from '../../../src/config/load-config.ts'

const store = { kind: 'embedded', directory: '/tmp/data' } as const

test('a development configuration is what the file would say', () => {
  const written = {
    issuer: 'http://127.0.0.1:4000',
    listen: { port: 4000 },
    environment: 'development',
    store,
    keys: { directory: '/tmp/keys' },
    registry: '/tmp/registry.yaml',
    outbound: { allow_loopback: true },
  }
  const choices = { port: 4000, store, keysDirectory: '/tmp/keys', registryPaths: ['/tmp/registry.yaml'] }
  expect(developmentConfig(choices)).toEqual(decodeConfig(written, 'errand.yaml', '/'))
})

test('it listens on loopback only', () => {
  const config = developmentConfig({ port: 1, store, keysDirectory: '/tmp/keys' })
  expect(config.listen.host).toBe('127.0.0.1')
  expect(new URL(config.settings.issuer).hostname).toBe('127.0.0.1')
  expect(config.registryPaths).toEqual([])
})
