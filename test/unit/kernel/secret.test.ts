import { format, inspect } from 'node:util'
import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../../src/kernel/digest.ts'
import { Secret } from '../../../src/kernel/secret.ts'

const TEXT = 'eyJ-very-secret'
const secret = new Secret(TEXT)

describe('a secret', () => {
  const ways: Record<string, () => unknown> = {
    'a template string': () => `${secret}`,
    concatenation: () => `a${String(secret)}`,
    'an array joined': () => [secret, secret].join(),
    JSON: () => JSON.stringify({ token: secret, list: [secret], map: [...new Map([[secret, secret]])] }),
    'JSON as a key': () => JSON.stringify({ [String(secret)]: 1 }),
    inspect: () => inspect({ secret }, { depth: 9, showHidden: true, getters: true }),
    'inspect without custom functions': () => inspect(secret, { customInspect: false, showHidden: true, depth: 9 }),
    format: () => format('%s %o %O %j', secret, secret, secret, secret),
    'an error message': () => new Error(`bad ${secret}`).stack,
    'an error cause': () => inspect(new Error('bad', { cause: secret })),
    'its own members': () => [Object.keys(secret), Object.values(secret), Object.getOwnPropertyNames(secret)],
    'a copy': () => JSON.stringify({ ...secret }) + JSON.stringify(Object.assign({}, secret)),
    'a structured clone': () => inspect(structuredClone(secret)),
    toLocaleString: () => secret.toLocaleString(),
  }
  it.each(Object.keys(ways))('does not show itself to %s', (way) => {
    expect(inspect(ways[way]?.())).not.toContain(TEXT)
  })

  it('does not show itself to the log', () => {
    const lines: string[] = []
    const log = pino({}, { write: (line: string) => void lines.push(line) })
    log.info({ secret, nested: { deep: [secret] } }, `with ${secret}`)
    log.error(new Error('x', { cause: secret }))
    expect(lines).toHaveLength(2)
    expect(lines.join()).not.toContain(TEXT)
    expect(lines[0]).toContain('[secret]')
  })

  it('gives its text to whoever asks for it by name, and to nobody else its length or digest only', () => {
    expect(secret.reveal()).toBe(TEXT)
    expect(secret.length).toBe(TEXT.length)
    expect(secret.fingerprint()).toBe(sha256(TEXT))
  })
})
