import { describe, expect, it } from 'vitest'
import { startDeadline } from '../../../src/store/deadline.ts'

describe('a deadline', () => {
  it('is late when nothing came, and not before its time', async () => {
    const from = performance.now()
    await new Promise<void>((resolve) => startDeadline(30, resolve))
    expect(performance.now() - from).toBeGreaterThanOrEqual(29)
  })

  it('never is when it was met', async () => {
    let late = false
    startDeadline(10, () => {
      late = true
    }).met()
    await new Promise((resolve) => setTimeout(resolve, 40))
    expect(late).toBe(false)
  })

  it('takes an answer that was there in time, though this process was too busy to look', async () => {
    const answered = new Promise<string>((resolve) => {
      const deadline = startDeadline(10, () => resolve('late'))
      // Both are due when the loop comes round again; a plain timer would be looked at first.
      setImmediate(() =>
        setImmediate(() => {
          deadline.met()
          resolve('answered')
        }),
      )
      const until = performance.now() + 30
      while (performance.now() < until);
    })
    expect(await answered).toBe('answered')
  })
})
