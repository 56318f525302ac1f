import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { UsageError } from '../../../../src/cli/failures.ts'
import { type WrittenSecret, withSecrets } from '../../../../src/cli/registry/secret-edit.ts'
import { parseYamlText } from '../../../../src/registry/strict-document.ts'

const EXAMPLE = readFileSync(join(import.meta.dirname, '../../../../deploy/example/registry.yaml'), 'utf8')
const secret = (id: string): WrittenSecret => ({
  id,
  version: '1',
  sha256: '-1e5'.padEnd(43, 'A'),
  issued_at: '2026-11-21T12:00:00Z',
  expires_at: '2026-12-21T12:00:00Z',
})
const [first, second] = [secret('s-1'), secret('s-2')]
type Document = Record<'agents' | 'services', Record<string, unknown>[]>
const read = (text: string) => parseYamlText(text, 'registry.yaml') as Document
const edit = (text: string, client: string, ...secrets: WrittenSecret[]) =>
  withSecrets(text, 'registry.yaml', { clientId: client, member: 'client_secrets' }, secrets)

describe('the secrets of a client in a registry', () => {
  test.each(['chart-maker', 'warehouse-server'])('of %s are added without touching another line', (client) => {
    const edited = edit(EXAMPLE, client, first)
    const added = edited.split('\n').filter((line) => !EXAMPLE.split('\n').includes(line))
    expect(added).toHaveLength(2)
    expect(edited.split('\n').filter((line) => !added.includes(line))).toEqual(EXAMPLE.split('\n'))
    const { agents, services } = read(edited)
    expect([...agents, ...services].find(({ client_id: id }) => id === client)?.['client_secrets']).toEqual([first])
  })

  test('are written anew, whatever was there, and taken out as they came', () => {
    const both = edit(edit(EXAMPLE, 'chart-maker', first), 'chart-maker', first, second)
    expect(read(both).agents.find(({ client_id: id }) => id === 'chart-maker')?.['client_secrets']).toEqual([
      first,
      second,
    ])
    expect(edit(both, 'chart-maker', first)).toBe(edit(EXAMPLE, 'chart-maker', first))
  })

  test.each([
    ['in one line', 'agents: [{ client_id: a, owner: x }]\n'],
    ['in one line each', 'agents:\n  - { client_id: a, owner: x }\n'],
    ['the id last', 'agents:\n  - owner: x # who\n    client_id: a'],
    ['an empty list', 'agents:\n  - client_id: a\n    client_secrets: []\n    owner: x\n'],
    ['a list in one line', `agents:\n  - client_id: a\n    client_secrets: [{ id: old }] # old\n    owner: x\n`],
    ['a list at the end', 'agents:\n  - owner: x\n    client_id: a\n    client_secrets:\n    - id: old\n'],
  ])('are understood where the client is written %s', (_what, text) => {
    const edited = edit(text, 'a', first, second)
    expect(read(edited).agents).toEqual([{ owner: 'x', client_id: 'a', client_secrets: [first, second] }])
  })

  test('belong to a client that is there', () => {
    expect(() => edit(EXAMPLE, 'nobody', first)).toThrow(UsageError)
  })
})
