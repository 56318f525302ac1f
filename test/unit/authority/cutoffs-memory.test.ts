import { expect, test } from 'vitest'
import { cutoffsMib, HELD } from '../../bench/cutoff-memory.ts'

test.each(Object.keys(HELD))('a hundred thousand live cut-offs fit into 32 MiB: %s', (held) => {
  const mib = cutoffsMib(held, 100_000)
  expect(mib).toBeLessThanOrEqual(32)
  // What is measured is there: an id alone takes two dozen bytes.
  expect(mib).toBeGreaterThan(4)
})
