/** The contract of `CallStore`: the first text stays, the first end over another wins and brings its record, and what has not ended is due. */
import { expect, it } from 'vitest'
import { newDecisionId, newNonce } from '../../src/kernel/ids.ts'
import type { Store } from '../../src/store/ports.ts'

const HOUR_MS = 3_600_000

export function callsContract(store: () => Store): void {
  const inAnHour = () => Date.now() + HOUR_MS
  const endOf = (ended: string, over?: string, audit?: string) => ({ over, ended, expiresAtMs: inAnHour(), audit })

  it('keeps the first text of a key, whoever begins it again', async () => {
    const { calls } = store()
    const [key, other] = [newNonce(), `odd:${newNonce()} \u0000}`]
    expect(await calls.read(key)).toBeUndefined()
    expect(await calls.begin(key, 'first', inAnHour())).toEqual({ text: 'first', ended: undefined })
    expect(await calls.begin(key, 'second', inAnHour())).toEqual({ text: 'first', ended: undefined })
    expect(await calls.begin(other, 'third', inAnHour())).toEqual({ text: 'third', ended: undefined })
    expect(await calls.read(key)).toEqual({ text: 'first', ended: undefined })
    expect(await calls.read(other)).toEqual({ text: 'third', ended: undefined })
  })

  it('lets one of those that end it at once win, with its record and no other', async () => {
    const { calls, audit } = store()
    const key = newNonce()
    const id = newDecisionId()
    await calls.begin(key, 'text', inAnHour())
    const ends = ['success', 'failure', 'unknown', ''].map((ended) =>
      calls.end(key, endOf(ended, undefined, JSON.stringify({ id, ended }))),
    )
    const answers = await Promise.all(ends)
    const [won, ...others] = answers.filter((answer) => answer?.written === true)
    expect(others).toEqual([])
    expect(new Set(answers.map((answer) => answer?.ended))).toEqual(new Set([won?.ended]))
    expect(await calls.read(key)).toEqual({ text: 'text', ended: won?.ended })
    expect(await audit.find(id)).toEqual([JSON.stringify({ id, ended: won?.ended })])
    expect(await calls.begin(key, 'another', inAnHour())).toEqual({ text: 'text', ended: won?.ended })
  })

  it('writes an end over the one that is named, and over no other', async () => {
    const { calls, audit } = store()
    const key = newNonce()
    const id = newDecisionId()
    expect(await calls.end(key, endOf('success'))).toBeUndefined()
    expect(await calls.read(key)).toBeUndefined()
    await calls.begin(key, 'text', inAnHour())
    expect(await calls.end(key, endOf('success', 'unknown'))).toMatchObject({ ended: undefined, written: false })
    expect(await calls.end(key, endOf('unknown'))).toMatchObject({ ended: 'unknown', written: true })
    expect(await calls.end(key, endOf('success'))).toMatchObject({ ended: 'unknown', written: false })
    const late = JSON.stringify({ id, ended: 'success' })
    expect(await calls.end(key, endOf('success', 'unknown', late))).toMatchObject({ ended: 'success', written: true })
    expect(await calls.end(key, endOf('success', 'unknown', late))).toMatchObject({ ended: 'success', written: false })
    expect(await audit.find(id)).toEqual([late])
  })

  it('is due from its time on until it has ended, and no earlier', async () => {
    const { calls } = store()
    const [soon, later, ended] = [newNonce(), newNonce(), newNonce()]
    const now = Date.now()
    await calls.begin(soon, 'text', now + 1_000)
    await calls.begin(later, 'text', now + 2_000)
    await calls.begin(ended, 'text', now + 1_000)
    await calls.end(ended, endOf('success'))
    const dueAt = async (nowMs: number) => {
      const due = await calls.due(nowMs, 1_000)
      return [soon, later, ended].filter((key) => due.includes(key))
    }
    expect(await dueAt(now + 999)).toEqual([])
    expect(await dueAt(now + 1_000)).toEqual([soon])
    expect(await dueAt(now + HOUR_MS)).toEqual([soon, later])
    expect(await calls.begin(soon, 'again', now + HOUR_MS)).toMatchObject({ text: 'text' })
    expect(await dueAt(now + 1_000)).toEqual([soon])
    for (const key of [soon, later]) await calls.end(key, endOf('unknown'))
    expect(await dueAt(now + HOUR_MS)).toEqual([])
  })

  it('forgets a call that has ended when it may be, and none before', async () => {
    const { calls } = store()
    const key = newNonce()
    await calls.begin(key, 'text', Date.now() - HOUR_MS)
    expect(await calls.read(key)).toEqual({ text: 'text', ended: undefined })
    await calls.end(key, { over: undefined, ended: 'success', expiresAtMs: Date.now() - 1, audit: undefined })
    await expect.poll(() => calls.read(key)).toBeUndefined()
    expect(await calls.due(Date.now(), 1_000)).not.toContain(key)
  })
}
