/** What the external PDP said, kept with the question. */
import { describe, expect, it } from 'vitest'
import type { ExternalAnswer } from '../../../src/model/decision.ts'
import { decodeExternal, encodeExternal } from '../../../src/policy/encode-external.ts'
import { SLACK, WAREHOUSE } from './world.ts'

const ANSWERS: readonly ExternalAnswer[] = [
  { kind: 'none' },
  { kind: 'failed', cause: 'the external policy could not be asked' },
  { kind: 'answered', allowed: new Map() },
  {
    kind: 'answered',
    allowed: new Map([
      [WAREHOUSE, new Set(['query', '__proto__'])],
      [SLACK, new Set<string>()],
    ]),
  },
]

describe('the answer of the external policy in a stored question', () => {
  it.each(ANSWERS)('%j comes back as it was', (answer) => {
    expect(decodeExternal(JSON.parse(JSON.stringify(encodeExternal(answer))))).toEqual(answer)
  })

  it.each([
    undefined,
    null,
    {},
    { kind: 'other' },
    { kind: 'failed' },
    { kind: 'other', cause: 'a cause', allowed: [] },
    { kind: 'answered' },
    { kind: 'answered', allowed: [[1]] },
    { kind: 'answered', allowed: [[WAREHOUSE, 1]] },
    [],
  ])('%j is no answer, and none is made of it', (value) => {
    expect(() => decodeExternal(value)).toThrow(
      'stored question is malformed: what the external policy said is no answer',
    )
  })
})
