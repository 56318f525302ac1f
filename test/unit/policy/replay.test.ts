/** A decision made again is the same, in whatever order it comes to say so; where it is another, it is said in what. */
import { describe, expect, test } from 'vitest'
import type { Authority } from '../../../src/authority/authority.ts'
import type { Decision, Question } from '../../../src/model/decision.ts'
import { type AnsweredThen, differences, effectiveDigest } from '../../../src/policy/replay.ts'
import { ask, authorityOf, forUser, type Raw, SLACK, WAREHOUSE, world } from './world.ts'

const registry = world()
const WANTED = { [WAREHOUSE]: { query: { table: { enum: ['a', 'b'] } }, insert: {} }, [SLACK]: { post: {}, list: {} } }

/** The record as the audit writes it: what is empty is left out. */
function then(decision: Decision): AnsweredThen {
  const layers = Object.fromEntries(decision.layers.map(({ layer, verdict }) => [layer, verdict]))
  return {
    record: {
      policy: decision.policyVersion,
      layers,
      grants_evaluated: decision.grantsEvaluated,
      ...(decision.grantsMatched.length > 0 ? { grants: decision.grantsMatched } : {}),
    },
    answer: decision,
  }
}

const again = (change: (made: Raw) => void, rest: Partial<Question> = {}) => {
  return { ...ask(world(change), WANTED, rest), policyVersion: registry.version }
}
const allowed = ask(registry, WANTED)
const refused = ask(registry, WANTED, forUser(registry, 'bob'))

describe('the same answer', () => {
  test('differs in nothing, allowed or refused', () => {
    expect(differences(then(allowed), allowed)).toEqual([])
    expect(differences(then(refused), refused)).toEqual([])
    expect([allowed.outcome, refused.outcome, refused.grantsMatched]).toEqual(['allow', 'deny', []])
  })

  test('is the same in another order of servers, tools, scopes, values, layers and grants', () => {
    if (allowed.outcome !== 'allow') throw new Error('refused')
    const { resources, ...rest } = allowed.effective
    const turned = [...resources].reverse().map(([url, { tools, scopes, limits }]) => {
      const reversed = [...tools].reverse().map(([name, constraints]) => {
        const values = [...constraints].map(([argument, { enum: listed = [], ...other }]) => {
          return [argument, listed.length === 0 ? other : { ...other, enum: [...listed].reverse() }] as const
        })
        return [name, new Map(values)] as const
      })
      return [url, { tools: new Map(reversed), scopes: [...scopes].reverse(), limits }] as const
    })
    const effective: Authority = { ...rest, resources: new Map(turned) }
    const layers = [...allowed.layers].reverse()
    const matched = { ...allowed, grantsMatched: ['b', 'a', 'c'] }
    expect(effectiveDigest({ outcome: 'allow', effective })).toBe(effectiveDigest(allowed))
    expect(differences(then(matched), { ...matched, effective, layers, grantsMatched: ['c', 'b', 'a'] })).toEqual([])
  })
})

describe('another answer', () => {
  test('differs in its outcome, its reason, its layers, its grants and what is granted', () => {
    const found = differences(
      then(allowed),
      again((made) => Object.assign(made, { grants: [] })),
    )
    expect(found.filter(({ of }) => of !== 'layers' && of !== 'effective')).toEqual([
      { of: 'outcome', recorded: 'allow', replayed: 'deny' },
      { of: 'reason', recorded: '', replayed: 'nothing_granted' },
      { of: 'grants', recorded: '["all"]', replayed: '[]' },
      { of: 'grants_evaluated', recorded: '1', replayed: '0' },
    ])
    const [layers, effective] = found.filter(({ of }) => of === 'layers' || of === 'effective')
    expect(layers?.recorded).toContain('"user":"allowed"')
    expect(layers?.replayed).toContain('"user":"implicit_deny"')
    expect(effective).toEqual({ of: 'effective', recorded: effectiveDigest(allowed), replayed: '' })
  })

  test('differs in what is granted alone, and in the version alone', () => {
    const narrower = authorityOf(registry, { [SLACK]: { post: {}, list: {} } })
    const found = differences(then(allowed), { ...allowed, effective: narrower } as Decision)
    expect(found.map(({ of }) => of)).toEqual(['effective'])
    expect(differences(then(allowed), { ...allowed, policyVersion: 'other' })).toEqual([
      { of: 'policy', recorded: registry.version, replayed: 'other' },
    ])
  })
})

describe('a record without layers and grants', () => {
  const bare = (shortened: boolean): AnsweredThen => ({
    record: { policy: registry.version, ...(shortened ? { shortened } : {}) },
    answer: allowed,
  })

  test('that was shortened has shed them: they are not compared', () => {
    expect(differences(bare(true), allowed)).toEqual([])
  })

  test('that is whole had none: each is compared', () => {
    expect(differences(bare(false), allowed).map(({ of, recorded }) => [of, recorded])).toEqual([
      ['layers', '[]'],
      ['grants', '[]'],
      ['grants_evaluated', '[]'],
    ])
  })
})
