import { expect, test } from 'vitest'
import { Trimmer } from '../../../../src/audit/log/trimmer.ts'
import { SEQUENCED_KEPT_MS, TRIM_MS } from '../../../../src/kernel/log-limits.ts'

function trimmed(answers: (outbox: string) => boolean) {
  const asked: string[] = []
  const trim = async (outbox: string, upTo: string) => {
    asked.push(`${outbox} ${upTo}`)
    return answers(outbox)
  }
  return { asked, trimmer: new Trimmer({ trim }, () => undefined) }
}

const headOf = (size: number, position: string) => ({
  size,
  cursors: new Map([
    ['s1', position],
    ['s2', 'quiet'],
  ]),
})

test('records of the log are looked for from where every outbox was trimmed; what is trimmed is not trimmed again', async () => {
  const { asked, trimmer } = trimmed(() => true)
  trimmer.note(headOf(10, 'a'), 0)
  expect(await trimmer.trim(10, SEQUENCED_KEPT_MS - 1)).toBeUndefined()
  expect(await trimmer.trim(9, SEQUENCED_KEPT_MS)).toBeUndefined()
  expect(await trimmer.trim(10, SEQUENCED_KEPT_MS)).toBe(10)
  trimmer.note(headOf(20, 'b'), TRIM_MS)
  expect(await trimmer.trim(20, TRIM_MS + SEQUENCED_KEPT_MS)).toBe(20)
  expect(asked).toEqual(['s1 a', 's2 quiet', 's1 b'])
})

test('an outbox that has come back without the record it was to be trimmed by has older ones: they are looked for, too', async () => {
  let isBack = true
  const { asked, trimmer } = trimmed((outbox) => outbox !== 's1' || !isBack)
  trimmer.note(headOf(10, 'a'), 0)
  expect(await trimmer.trim(10, SEQUENCED_KEPT_MS)).toBeUndefined()
  isBack = false
  trimmer.note(headOf(20, 'b'), TRIM_MS)
  expect(await trimmer.trim(20, TRIM_MS + SEQUENCED_KEPT_MS)).toBe(20)
  expect(asked).toEqual(['s1 a', 's2 quiet', 's1 b'])
})
