/** One call of `fetch`, so that it can be sent again with another token: its body is read once, where it can be read only once. */

export interface Call {
  readonly url: string
  readonly method: string
  readonly headers: Headers
  /** `false`: its body is a stream of the caller's, which is gone once it was sent. */
  readonly replayable: boolean
  /** All but method and URL, for each sending anew. */
  init(): RequestInit
}

export async function readCall(input: string | URL | Request, init: RequestInit = {}): Promise<Call> {
  if (!(input instanceof Request)) return callOf(String(input), init)
  const body = init.body ?? (input.body === null ? undefined : await input.arrayBuffer())
  const { method, headers, signal } = input
  return callOf(input.url, { method, headers, signal, ...init, ...(body === undefined ? {} : { body }) })
}

function callOf(url: string, init: RequestInit): Call {
  const headers = new Headers(init.headers)
  const isStream = init.body instanceof ReadableStream || isIterableOnce(init.body)
  return {
    url,
    method: (init.method ?? 'GET').toUpperCase(),
    headers,
    replayable: !isStream,
    init: () => ({ ...init, headers: new Headers(headers) }),
  }
}

/** What `fetch` of Node takes as a body beside what the standard has. */
function isIterableOnce(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body
}
