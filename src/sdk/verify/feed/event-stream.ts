/**
 * Server-sent events as the broker writes them, from bytes: each has a name, an id and one line of data, ended by an empty line.
 * Whatever else arrives ends the reading with an error: a stream that cannot be read to the letter cannot be believed to the end.
 */
import { TextDecoder } from 'node:util'
import { FEED_EVENT_CHARS_MAX } from '../../../kernel/feed-limits.ts'
import { FeedBroken } from './feed-message.ts'

export interface StreamEvent {
  readonly event: string
  readonly data: string
}

/** @throws FeedBroken; whatever the bytes throw */
export async function* readEvents(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let text = ''
  /** Up to here there is no end of an event. */
  let searched = 0
  for await (const chunk of bytes) {
    text += decoded(decoder, chunk)
    for (let end = text.indexOf('\n\n', searched); end >= 0; end = text.indexOf('\n\n')) {
      yield parseEvent(text.slice(0, end))
      text = text.slice(end + 2)
      searched = 0
    }
    if (text.length > FEED_EVENT_CHARS_MAX) throw new FeedBroken('an event of the feed is larger than any')
    searched = Math.max(text.length - 1, 0)
  }
}

function decoded(decoder: TextDecoder, chunk: Uint8Array): string {
  try {
    return decoder.decode(chunk, { stream: true })
  } catch (fault) {
    throw new FeedBroken('the feed is not UTF-8', fault)
  }
}

const FIELD = /^(id|event|data): (.*)$/

function parseEvent(block: string): StreamEvent {
  const fields = new Map<string, string>()
  for (const line of block.split('\n')) {
    const [, name, value] = FIELD.exec(line) ?? []
    if (name === undefined || value === undefined || fields.has(name))
      throw new FeedBroken('a malformed event on the feed')
    fields.set(name, value)
  }
  const [event, data] = [fields.get('event'), fields.get('data')]
  if (event === undefined || data === undefined) throw new FeedBroken('an event of the feed without name or data')
  return { event, data }
}
