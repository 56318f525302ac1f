/** Texts of bundles are remembered, and never more than the log has. */
import { expect, test } from 'vitest'
import { contentRow, plainFrame } from '../../../../src/audit/log/bodies.ts'
import { LogBodies } from '../../../../src/audit/trail/log-bodies.ts'

test('a text is found in a bundle that is another by now, though those of the one before are remembered', async () => {
  let name = 'lost'
  let reads = 0
  const read = async () => {
    reads += 1
    return [plainFrame([contentRow(name, `the text of ${name}`)])]
  }
  const bodies = new LogBodies({ read })
  for (let times = 0; times < 2; times += 1) expect(await bodies.content('lost', 0, 256)).toBe('the text of lost')
  expect(reads).toBe(1)
  name = 'new'
  expect(await bodies.content('new', 0, 256)).toBe('the text of new')
  expect(await bodies.content('never', 0, 256)).toBeUndefined()
})
