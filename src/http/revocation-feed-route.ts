/**
 * `GET /revocations`: the feed as server-sent events, or one JSON object for whoever cannot hold a stream. Behind an API token
 * with the scope `revocations`. A stream is read from as fast as its consumer takes it, and never further.
 */
import type { Context } from 'hono'
import { followingCaller } from '../admin/callers.ts'
import { FEED_WAIT_S_MAX } from '../kernel/feed-limits.ts'
import type { PrincipalId } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { EVENT_STREAM, FEED_PATH, type FeedPosition, parsePosition } from '../protocol/revocation-feed.ts'
import { callAsCaller } from '../revocation/caller-request.ts'
import type { FeedConsumer, Subscriber } from '../revocation/feed-consumer.ts'
import type { FeedStream } from '../revocation/feed-stream.ts'
import { NO_STORE } from './error-response.ts'
import { dropConnection, headerOf } from './incoming.ts'
import { knownOnly, parameter } from './query.ts'
import type { Route, RouterParts } from './route.ts'
import { admitted } from './session-routes.ts'

export function revocationFeedRoute(parts: RouterParts, base: string): Route {
  const answer = (context: Context, facts: RequestFacts) => {
    // Its body would be made, and never read.
    if (context.req.method === 'HEAD') throw new Rejection('method_not_allowed', 'a feed has no head: GET it')
    const isStream = (headerOf(context, 'accept') ?? '').toLowerCase().includes(EVENT_STREAM)
    return isStream ? stream(context, facts, parts) : poll(context, facts, parts)
  }
  return { path: base + FEED_PATH, bearer: true, methods: { GET: answer } }
}

/**
 * Somebody new on the feed, on record. A log that cannot be written holds nobody up: whom nobody tells stops serving, and a store
 * that is full would take every verifier with it.
 * @throws RefusedRequest
 */
async function begin<C extends FeedConsumer>(
  context: Context,
  facts: RequestFacts,
  parts: RouterParts,
  open: (subscriber: Subscriber, by: PrincipalId) => C,
): Promise<C> {
  let subscriber: Subscriber | undefined
  const caller = async () => {
    const follower = await admitted(context, facts, parts, (presented) => followingCaller(presented, parts.callers))
    subscriber = { clientId: follower.client.clientId, stands: follower.stands }
    return follower
  }
  let opened: C | undefined
  try {
    const { result } = await callAsCaller({ caller, facts }, parts.revocation, {
      event: 'revocations.follow',
      mayDefer: true,
      work: async ({ principal }) => {
        if (subscriber === undefined) throw new Error('nobody follows')
        opened = open(subscriber, principal)
        return opened
      },
    })
    return result
  } catch (refused) {
    opened?.end()
    throw refused
  }
}

async function stream(context: Context, facts: RequestFacts, parts: RouterParts): Promise<Response> {
  // Whatever else it says, it is where it is: at the beginning.
  const from = parsePosition(headerOf(context, 'last-event-id') ?? '')
  const opened = await begin(context, facts, parts, (subscriber) => parts.revocation.feed.open(subscriber, from))
  opened.drop = () => dropConnection(context)
  return new Response(bodyOf(opened), { headers: STREAM_HEADERS })
}

const STREAM_HEADERS = {
  'Content-Type': EVENT_STREAM,
  ...NO_STORE,
  // Proxies that would collect the answer before passing it on.
  'X-Accel-Buffering': 'no',
  // Its first event may take half a second: nobody is to wait for it before the head of the answer is sent.
  'Transfer-Encoding': 'chunked',
}

const UTF8 = new TextEncoder()

function bodyOf(opened: FeedStream): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const text = await opened.next()
        if (text === undefined) controller.close()
        else controller.enqueue(UTF8.encode(text))
      },
      cancel: () => opened.end(),
    },
    { highWaterMark: 0 },
  )
}

async function poll(context: Context, facts: RequestFacts, parts: RouterParts): Promise<Response> {
  const opened = await begin(context, facts, parts, (subscriber, by) => {
    knownOnly(context, ['since', 'wait_seconds'], by)
    waitOf(context)
    return parts.revocation.feed.poll(subscriber, sinceOf(context))
  })
  const answer = await opened.answer(waitOf(context))
  if (answer === undefined) {
    throw new Rejection('cutoffs_stale', 'revocations could not be confirmed just now: try again', {
      retryAfterSeconds: 1,
    })
  }
  return new Response(answer, { headers: { 'Content-Type': 'application/json', ...NO_STORE } })
}

function sinceOf(context: Context): FeedPosition | undefined {
  const text = parameter(context, 'since')
  const position = text === undefined ? undefined : parsePosition(text)
  if (text !== undefined && position === undefined)
    throw new Rejection('parameter_malformed', 'since is <epoch>.<seq>, as an earlier answer has them')
  return position
}

function waitOf(context: Context): number {
  const seconds = Number(parameter(context, 'wait_seconds') ?? 0)
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > FEED_WAIT_S_MAX)
    throw new Rejection('parameter_malformed', `wait_seconds is a whole number up to ${FEED_WAIT_S_MAX}`)
  return seconds * 1000
}
