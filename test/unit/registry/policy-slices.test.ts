/** A policy is kept and loaded in slices: nothing of it gets lost between them, and no slice holds more than one entry. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Sliced } from '../../../src/kernel/slices.ts'
import { prepareGrants } from '../../../src/policy/grant-index.ts'
import { decodeRegistryDocuments, decodingRegistry } from '../../../src/registry/load-registry.ts'
import { decodePolicy, encodePolicy } from '../../../src/registry/publication/policy-documents.ts'
import type { ConfigurationError } from '../../../src/registry/strict-document.ts'
import { ISSUER, validDocument } from './document.ts'

const GRANTS = 250

function largeDocument() {
  const document = validDocument()
  const { id: _id, ...grant } = document.grants[0]
  return { ...document, grants: Array.from({ length: GRANTS }, (_, n) => ({ ...grant, id: `grant-${n}` })) }
}

function stepsOf<T>(work: Sliced<T>): { readonly steps: number; readonly result: T } {
  for (let steps = 0; ; steps += 1) {
    const step = work.next()
    if (step.done === true) return { steps, result: step.value }
  }
}

test('what is read back is what was kept, for any policy, however long its lists are', async () => {
  const lists = fc.dictionary(
    fc.string({ maxLength: 8 }).filter((name) => name !== '__proto__'),
    fc.oneof(
      fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 4 }),
      fc.jsonValue({ maxDepth: 1 }),
      fc.integer({ min: 0, max: 350 }).map((length) => Array.from({ length }, (_, n) => ({ id: `grant\n-${n}` }))),
    ),
    { maxKeys: 4, noNullPrototype: true },
  )
  const document = fc.oneof({ weight: 4, arbitrary: lists }, fc.jsonValue({ maxDepth: 1 }))
  const file = fc.record({ name: fc.string(), document }, { noNullPrototype: true })
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 3 }), document, async (files, entries) => {
      const policy = JSON.parse(JSON.stringify({ issuer: ISSUER, accessTokenSeconds: 300, files, entries }))
      expect(await decodePolicy(await encodePolicy(policy))).toEqual(policy)
    }),
    { numRuns: 50 },
  )
})

test('others have their turn after every few hundred entries that are packed', async () => {
  let written = 0
  const grant = {
    reason: 'x'.repeat(400),
    get id() {
      written += 1
      return 'a grant'
    },
  }
  const grants = Array.from({ length: 10_000 }, () => grant)
  const perTurn: number[] = []
  const look = () => {
    perTurn.push(written)
    written = 0
    next = setImmediate(look)
  }
  let next = setImmediate(look)
  await encodePolicy({ issuer: ISSUER, accessTokenSeconds: 300, files: [], entries: { grants } })
  clearImmediate(next)
  expect(perTurn.reduce((sum, count) => sum + count, written)).toBe(10_000)
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(500)
})

test('a text of which anything was changed is no policy', async () => {
  const text = await encodePolicy({ issuer: ISSUER, accessTokenSeconds: 300, files: [], entries: largeDocument() })
  for (const damaged of [text.slice(0, -4), text.replace('policy-2', 'policy-1'), `${text}AAAA`, '']) {
    await expect(decodePolicy(damaged)).rejects.toThrow('damaged')
  }
})

test('each entry is a slice of its own wherever all are gone through, and so is each grant of the index', () => {
  const documents = [{ document: largeDocument(), sourceName: 'r.yaml' }]
  const { steps, result } = stepsOf(decodingRegistry(documents, { issuer: ISSUER }))
  // Its shape, its place, its name, what it refers to, what it means, and its part of the version.
  expect(steps).toBeGreaterThanOrEqual(6 * GRANTS)
  expect(result.version).toBe(decodeRegistryDocuments(documents, { issuer: ISSUER }).version)
  expect(stepsOf(prepareGrants(result)).steps).toBe(GRANTS)
  expect(stepsOf(prepareGrants(result)).steps).toBe(0)
})

test('so is each agent, in every check that goes through them all', () => {
  const document = validDocument()
  const stepsWith = (agents: number) => {
    const more = Array.from({ length: agents }, (_, n) => ({
      ...document.agents[0],
      client_id: `agent-${n}`,
      upstream: {},
    }))
    const given = { ...document, agents: [...document.agents, ...more] }
    return stepsOf(decodingRegistry([{ document: given, sourceName: 'r.yaml' }], { issuer: ISSUER })).steps
  }
  // Beside what each grant takes: workloads, metadata, servers of others, names, owners, SPIFFE IDs, versions, look-ups.
  expect(stepsWith(GRANTS) - stepsWith(0)).toBe(GRANTS * (stepsWith(1) - stepsWith(0)))
  expect(stepsWith(1) - stepsWith(0)).toBeGreaterThanOrEqual(17)
})

test('problems of every entry, and of what is around them, are named together', () => {
  const document = { ...largeDocument(), grnats: [], users: 'none' }
  document.grants[3] = { ...document.grants[3], effct: 'deny' }
  document.grants[249] = JSON.parse('{"__proto__": {}}')
  let problems: readonly string[] = []
  try {
    decodeRegistryDocuments([{ document, sourceName: 'r.yaml' }], { issuer: ISSUER })
  } catch (error) {
    problems = (error as ConfigurationError).problems
  }
  expect(problems).toEqual([
    'r.yaml: grants[3].effct: unknown key; did you mean effect?',
    'r.yaml: grants[249].__proto__: may not be used as a name',
    expect.stringContaining('r.yaml: users: '),
    'r.yaml: grnats: unknown key; did you mean grants?',
  ])
})
