import { describe, expect, it } from 'vitest'
import { INDEX_ENTRIES_WAITING_MAX } from '../../../src/kernel/store-limits.ts'
import { BatchedIndexes, type ListedMembers } from '../../../src/store/batched-indexes.ts'
import { StoreUnavailable } from '../../../src/store/ports.ts'

class Backend {
  readonly calls: [string, Record<string, number>][] = []
  fails: Error | undefined
  hold: Promise<void> | undefined

  async addAll(lists: ListedMembers): Promise<void> {
    await this.hold
    if (this.fails !== undefined) throw this.fails
    for (const [index, members] of lists) this.calls.push([index, Object.fromEntries(members)])
  }

  async list(): Promise<readonly string[]> {
    return this.calls.map(([index]) => index)
  }

  async count(): Promise<number> {
    return this.calls.length
  }
}

describe('lists that are written in batches', () => {
  it('write one list once, whatever was added meanwhile, each member with its latest expiry', async () => {
    const backend = new Backend()
    const indexes = new BatchedIndexes(backend)
    await Promise.all([
      indexes.add('all', 'a', 2_000),
      indexes.add('all', 'b', 1_000),
      indexes.add('all', 'a', 1_500),
      indexes.add('of', 'a', 1),
    ])
    expect(backend.calls).toEqual([
      ['all', { a: 2_000, b: 1_000 }],
      ['of', { a: 1 }],
    ])
  })

  it('show what is being written just now: nobody reads between the two', async () => {
    const backend = new Backend()
    const indexes = new BatchedIndexes(backend)
    let release = () => {}
    backend.hold = new Promise((resolve) => {
      release = resolve
    })
    void indexes.add('all', 'a', 1)
    const flushed = indexes.flush()
    await new Promise((resolve) => setImmediate(resolve))
    const listed = indexes.list('all', 0, 10)
    await new Promise((resolve) => setImmediate(resolve))
    release()
    expect(await listed).toEqual(['all'])
    await flushed
  })

  it('show what was added through them before, and write the rest when asked to', async () => {
    const backend = new Backend()
    const indexes = new BatchedIndexes(backend)
    void indexes.add('all', 'a', 1)
    expect(await indexes.list('all', 0, 10)).toEqual(['all'])
    void indexes.add('second', 'a', 1)
    await indexes.flush()
    expect(backend.calls).toHaveLength(2)
    await indexes.flush()
    expect(backend.calls).toHaveLength(2)
    expect(await indexes.list('all', 0, 0)).toEqual([])
  })

  it('tell everyone who added an entry that it was not written, and take new ones', async () => {
    const backend = new Backend()
    const indexes = new BatchedIndexes(backend)
    backend.fails = new StoreUnavailable('away')
    const added = [indexes.add('all', 'a', 1), indexes.add('all', 'b', 1)]
    await indexes.flush()
    for (const one of added) await expect(one).rejects.toThrow(StoreUnavailable)
    backend.fails = undefined
    await indexes.add('all', 'c', 1)
    expect(backend.calls).toEqual([['all', { c: 1 }]])
  })

  it('hold no more entries than their bound while the store is away, and take new ones afterwards', async () => {
    const backend = new Backend()
    const indexes = new BatchedIndexes(backend)
    let release: () => void = () => undefined
    backend.hold = new Promise((resolve) => {
      release = resolve
    })
    const added = Array.from({ length: INDEX_ENTRIES_WAITING_MAX }, (_, member) =>
      indexes.add('all', String(member), 1),
    )
    await expect(indexes.add('all', 'one too many', 1)).rejects.toThrow(StoreUnavailable)
    const flushed = indexes.flush()
    await expect(indexes.add('all', 'while it is written', 1)).rejects.toThrow(StoreUnavailable)
    release()
    await flushed
    await Promise.all(added)
    await indexes.add('all', 'again', 1)
    expect(backend.calls.at(-1)).toEqual(['all', { again: 1 }])
  })

  it('refuse an expiry that is no number', async () => {
    await expect(new BatchedIndexes(new Backend()).add('all', 'a', Number.NaN)).rejects.toThrow(TypeError)
  })
})
