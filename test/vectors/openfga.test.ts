/**
 * OpenFGA's published check cases, of inheritance, intersection and exclusion, asked of this policy: the same answer wherever
 * the case can be said at all. What cannot be said is counted by reason, so that no case is lost unseen.
 */
import { expect, test } from 'vitest'
import { parseModel } from './openfga-model.ts'
import { checked, type Tuple } from './openfga-registry.ts'
import { Unsayable } from './openfga-rules.ts'
import { readVectors } from './vectors-folder.ts'

interface Stage {
  readonly model: string
  readonly tuples?: readonly Tuple[]
  readonly checkAssertions?: readonly {
    readonly tuple: Tuple
    readonly expectation?: boolean
    readonly errorCode?: number
  }[]
}

const FILE = 'openfga/consolidated_1_1_tests.yaml'
const vectors = readVectors(FILE, 'https://github.com/openfga/openfga (assets/tests)') as
  | { readonly tests: readonly { readonly name: string; readonly stages: readonly Stage[] }[] }
  | undefined

/** Of 360 published checks. */
const COUNTS = {
  yes: 122,
  no: 92,
  'has nodes with several above them': 46,
  'has groups that are not plain lists of users': 39,
  'combines anew at each level': 15,
  'is about requests that OpenFGA refuses': 12,
  'allows what elsewhere is excluded: here a deny wins': 8,
  'needs more than two conditions at once': 8,
  'excludes by a condition': 7,
  'has a node below itself': 6,
  'is inherited in part': 3,
  'asks about a set of users': 2,
}

test.skipIf(vectors === undefined)('every published check that this policy can say has the published answer', () => {
  const said = { yes: 0, no: 0 }
  const unsaid = new Map<string, number>()
  const wrong: string[] = []
  const count = (why: string) => unsaid.set(why, (unsaid.get(why) ?? 0) + 1)
  for (const { name, stages } of vectors?.tests ?? []) {
    const tuples: Tuple[] = []
    for (const stage of stages) {
      tuples.push(...(stage.tuples ?? []))
      const model = parseModel(stage.model)
      for (const { tuple, expectation, errorCode } of stage.checkAssertions ?? []) {
        if (errorCode !== undefined) count('is about requests that OpenFGA refuses')
        else {
          try {
            const allowed = checked(model, tuples, tuple).outcome === 'allow'
            if (allowed !== expectation) wrong.push(`${name}: ${tuple.user} ${tuple.relation} ${tuple.object}`)
            said[allowed ? 'yes' : 'no'] += 1
          } catch (fault) {
            if (!(fault instanceof Unsayable)) throw fault
            count(fault.message)
          }
        }
      }
    }
  }
  expect(wrong).toEqual([])
  expect({ ...said, ...Object.fromEntries(unsaid) }).toEqual(COUNTS)
})
