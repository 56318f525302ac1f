import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openFilesMax, sizeThreadPool } from '../../../src/config/environment.ts'

const NAME = 'UV_THREADPOOL_SIZE'
const before = process.env[NAME]
beforeEach(() => {
  delete process.env[NAME]
})
afterEach(() => {
  if (before === undefined) delete process.env[NAME]
  else process.env[NAME] = before
})

test.each([
  [1, '2'],
  [2, '2'],
  [8, '8'],
  [128, '16'],
])('with %i processors the pool has %s threads', (processors, threads) => {
  sizeThreadPool(processors)
  expect(process.env[NAME]).toBe(threads)
})

test('what the operator has set stays', () => {
  process.env[NAME] = '7'
  sizeThreadPool(2)
  expect(process.env[NAME]).toBe('7')
})

test('how many files may be open is what the kernel says, or unknown', () => {
  expect(openFilesMax()).toBeGreaterThan(0)
  expect(openFilesMax(() => 'Max open files            1024                 4096                 files\n')).toBe(1024)
  expect(
    openFilesMax(() => 'Max open files            unlimited            unlimited            files\n'),
  ).toBeUndefined()
  expect(openFilesMax(() => readFileSync('/nowhere', 'utf8'))).toBeUndefined()
})
