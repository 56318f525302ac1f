import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FEED_EVENT_CHARS_MAX } from '../../../../../src/kernel/feed-limits.ts'
import { readEvents, type StreamEvent } from '../../../../../src/sdk/verify/feed/event-stream.ts'
import { decodeAnswer, decodeEvent, FeedBroken } from '../../../../../src/sdk/verify/feed/feed-message.ts'

async function* chunks(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function eventsOf(text: string | Uint8Array, sizes: readonly number[] = [7]): Promise<StreamEvent[]> {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  const events: StreamEvent[] = []
  for await (const event of readEvents(chunks(bytes, sizes))) events.push(event)
  return events
}

const STREAM = 'id: e.1\nevent: snapshot\ndata: {"ä":1}\n\nevent: heartbeat\ndata: {}\nid: e.1\n\n'

describe('the events of a stream', () => {
  test('are the same however its bytes are cut', async () => {
    const whole = await eventsOf(STREAM, [1_000])
    expect(whole).toEqual([
      { event: 'snapshot', data: '{"ä":1}' },
      { event: 'heartbeat', data: '{}' },
    ])
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(sizes, async (cut) => {
        expect(await eventsOf(STREAM, cut)).toEqual(whole)
      }),
    )
  })

  test('one that has not ended is not told', async () => {
    expect(await eventsOf(STREAM.slice(0, -1))).toHaveLength(1)
  })

  test.each([
    ['a name twice', 'event: a\nevent: b\ndata: {}\n\n'],
    ['two lines of data', 'event: a\ndata: {}\ndata: {}\n\n'],
    ['no name', 'data: {}\n\n'],
    ['no data', 'event: a\n\n'],
    ['a field nobody knows', 'event: a\ndata: {}\nretry: 1\n\n'],
    ['a comment', ': hello\nevent: a\ndata: {}\n\n'],
    ['line ends of another kind', 'event: a\r\ndata: {}\r\n\n'],
    ['a mark of byte order', '\uFEFFevent: a\ndata: {}\n\n'],
    ['an empty event', '\n\n'],
  ])('%s ends the reading', async (_what, text) => {
    await expect(eventsOf(text)).rejects.toThrow(FeedBroken)
  })

  test('what is not UTF-8 ends the reading', async () => {
    await expect(eventsOf(Buffer.from([0x65, 0xff, 0x0a, 0x0a]))).rejects.toThrow(FeedBroken)
  })

  test('one without end is not read to its end', async () => {
    let given = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        given += 65_536
        yield Buffer.alloc(65_536, 'a')
      }
    }
    const reading = async () => {
      for await (const event of readEvents(endless())) expect(event).toBeUndefined()
    }
    await expect(reading()).rejects.toThrow('larger than any')
    expect(given).toBeLessThanOrEqual(FEED_EVENT_CHARS_MAX + 65_536)
  })
})

const CUTOFF = { dimension: 'user', id: 'abc', seq: 3, expires_at_ms: 9 }
const SNAPSHOT = { epoch: 'e', seq: 3, salt: 's', cutoffs: [CUTOFF] }

describe('a message', () => {
  test('is told with what it names', () => {
    expect(decodeEvent('snapshot', JSON.stringify({ ...SNAPSHOT, something: 'new' }))).toEqual({
      kind: 'snapshot',
      epoch: 'e',
      seq: 3,
      salt: 's',
      cutoffs: [{ dimension: 'user', id: 'abc', seq: 3, expiresAtMs: 9 }],
    })
    expect(decodeEvent('heartbeat', '{"epoch":"e","seq":3,"as_of":5}')).toEqual({
      kind: 'heartbeat',
      epoch: 'e',
      seq: 3,
      asOfMs: 5,
    })
  })

  test('the answer to a poll is what a stream would have said, in its order', () => {
    const kinds = (text: unknown) => decodeAnswer(JSON.stringify(text)).map(({ kind }) => kind)
    expect(kinds({ ...SNAPSHOT, as_of: 5 })).toEqual(['snapshot', 'heartbeat'])
    expect(kinds({ epoch: 'e', seq: 3, previous: 1, cutoffs: [], as_of: 5 })).toEqual(['cutoffs', 'heartbeat'])
    // There is more: nothing is confirmed yet.
    expect(kinds(SNAPSHOT)).toEqual(['snapshot'])
  })

  const changed = (change: object) => JSON.stringify({ ...SNAPSHOT, ...change })
  test.each([
    ['no JSON', 'nonsense'],
    ['no object', '[]'],
    ['a member twice', '{"epoch":"e","epoch":"e","seq":3,"salt":"s","cutoffs":[]}'],
    ['a number that is none', changed({ seq: '3' })],
    ['a negative number', changed({ seq: -1 })],
    ['a number no double holds', '{"epoch":"e","seq":9007199254740993,"salt":"s","cutoffs":[]}'],
    ['no list', changed({ cutoffs: {} })],
    ['a cut-off that is none', changed({ cutoffs: [null] })],
    ['a cut-off without a number', changed({ cutoffs: [{ ...CUTOFF, seq: undefined }] })],
    ['a cut-off without an end', changed({ cutoffs: [{ ...CUTOFF, expires_at_ms: null }] })],
    ['a cut-off of an unknown dimension', changed({ cutoffs: [{ ...CUTOFF, dimension: 'planet' }] })],
    ['a dimension that every object has', changed({ cutoffs: [{ ...CUTOFF, dimension: 'constructor' }] })],
    ['an epoch that is no name', changed({ epoch: 'a.b' })],
    ['an empty salt', changed({ salt: '' })],
  ])('with %s is refused as a whole', (_what, text) => {
    expect(() => decodeEvent('snapshot', text)).toThrow(FeedBroken)
  })

  test('of a kind nobody knows is refused', () => {
    expect(() => decodeEvent('goodbye', '{}')).toThrow(FeedBroken)
  })

  test('that goes backwards is refused', () => {
    expect(() => decodeEvent('cutoffs', '{"previous":3,"seq":2,"cutoffs":[]}')).toThrow(FeedBroken)
  })
})
