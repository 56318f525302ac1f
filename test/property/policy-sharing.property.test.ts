/**
 * A version decoded beside the one before it, of whose entries it shares whatever is the same, is the version that is decoded
 * by itself: it says the same, it decides the same, and what it takes away from the one before is the same.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inadmissible } from '../../src/admin/publication/admissible.ts'
import { differenceOf } from '../../src/admin/publication/difference.ts'
import { fingerprint } from '../../src/admin/publication/fingerprint.ts'
import { atOnce } from '../../src/kernel/slices.ts'
import type { Registry } from '../../src/model/registry.ts'
import { decide } from '../../src/policy/decide.ts'
import { prepareGrants } from '../../src/policy/grant-index.ts'
import { DecodedEntries } from '../../src/registry/decode/decoded-entries.ts'
import { decodingRegistry } from '../../src/registry/load-registry.ts'
import type { Raw } from '../unit/policy/world.ts'
import { questionOf } from './asked-questions.ts'
import { asking, document } from './policy-arbitraries.ts'

const ISSUER = 'https://errand.example'
const SECTIONS = ['resources', 'agents', 'users', 'grants', 'projects'] as const

/** What becomes of an entry, and of all that follow it. */
const edit = fc.record({
  section: fc.constantFrom(...SECTIONS),
  at: fc.nat(12),
  kind: fc.constantFrom('keep', 'other', 'remove', 'add', 'turn', 'alike'),
})

const roles = fc.subarray([
  { name: 'analyst', groups: ['finance'] },
  { name: 'lead', users: ['corp:bob'] },
])

/** The next version, of the same objects wherever nothing is edited, as a text that is read again gives them. */
function edited(before: Raw, other: Raw, edits: readonly { section: string; at: number; kind: string }[]): Raw {
  const after = { ...before }
  for (const { section, at, kind } of edits) {
    const list: Raw[] = [...after[section]]
    const others: Raw[] = other[section]
    const index = at % (list.length + 1)
    if (kind === 'other' && others[index] !== undefined) list[index] = { ...others[index] }
    if (kind === 'remove') list.splice(index, 1)
    if (kind === 'add' && section === 'grants' && others[0])
      list.splice(index, 0, { ...others[0], id: `new-${list.length}` })
    if (kind === 'turn') list.reverse()
    if (kind === 'alike' && list[index] !== undefined) list[index] = structuredClone(list[index])
    after[section] = list
  }
  return after
}

const versions = fc
  .tuple(document, document, roles, roles, fc.array(edit, { maxLength: 6 }), fc.boolean())
  .map(([first, second, had, has, edits, sameRoles]) => {
    const before = { ...first, roles: had }
    return [before, { ...edited(before, second, edits), roles: sameRoles ? had : has }] as const
  })

function decodedAt(
  document: Raw,
  options: { readonly accessTokenSeconds?: number } = {},
  decoded?: DecodedEntries,
): Registry | undefined {
  try {
    const documents = [{ document, sourceName: 'r.yaml' }]
    const registry = atOnce(decodingRegistry(documents, { issuer: ISSUER, ...options, ...(decoded && { decoded }) }))
    decoded?.complete()
    return registry
  } catch {
    return undefined
  }
}

/** All that it says, with where each grant stands. */
const says = (registry: Registry) =>
  fingerprint(Object.entries(registry).filter(([, member]) => typeof member !== 'function'))

test('is the same version, decides the same, and takes the same away', () => {
  const seen = { shared: 0, taken: 0, decided: 0 }
  fc.assert(
    fc.property(
      versions,
      fc.array(asking, { maxLength: 4 }),
      fc.constantFrom(300, 600),
      ([first, second], asked, seconds) => {
        const known = new DecodedEntries()
        const before = decodedAt(first, {}, known)
        if (before === undefined) return
        atOnce(prepareGrants(before))
        const options = { accessTokenSeconds: seconds }
        const after = decodedAt(second, options, new DecodedEntries(known))
        // As one that reads it for the first time.
        const alone = decodedAt(structuredClone(second), options)
        expect(after === undefined).toBe(alone === undefined)
        if (after === undefined || alone === undefined) return
        expect(after.version).toBe(alone.version)
        expect(says(after)).toBe(says(alone))
        const apart = decodedAt(structuredClone(first)) as Registry
        for (const environment of ['production', 'development']) {
          const difference = atOnce(differenceOf({ before, after, environment }))
          expect(difference).toEqual(atOnce(differenceOf({ before: apart, after: alone, environment })))
          if (difference.taken.length > 0) seen.taken += 1
        }
        expect(atOnce(inadmissible(before, after))).toEqual(atOnce(inadmissible(apart, alone)))
        atOnce(prepareGrants(after, before))
        const isAsked = after.agents.length === before.agents.length && after.users.length === before.users.length
        for (const one of isAsked ? asked : []) {
          const [there, here] = [alone, after].map((registry) => decide(registry, questionOf(registry, one)))
          expect(fingerprint(there)).toBe(fingerprint(here))
          seen.decided += 1
        }
        if (after.grants.some((grant) => before.grants.includes(grant))) seen.shared += 1
      },
    ),
    { numRuns: 300 },
  )
  expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(30)
})

test('an entry means in each section what it says there, though it be the same object in two', () => {
  const entry = { client_id: 'both', owner: 'team', environment: 'development' }
  const decodedAlone = (document: Raw) => decodedAt(document)?.version
  const known = new DecodedEntries()
  expect(decodedAt({ agents: [entry] }, {}, known)).toBeDefined()
  const next = { services: [entry] }
  expect(decodedAt(next, {}, new DecodedEntries(known))?.version).toBe(decodedAlone(next))
})
