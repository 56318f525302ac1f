/**
 * The trace that something happens in (W3C Trace Context), passed on to the broker and to servers: their records and log lines then
 * name it, too. What is not well-formed is passed on to nobody.
 */
import { formatTraceparent, parseTraceparent, TRACEPARENT } from '../../protocol/trace-context.ts'
import { type Fetch, type FormDoor, formOverHttp, type JsonDoor, jsonOverHttp, platformFetch } from './http.ts'

export interface Doors {
  /** `traceparent` of what is being done now, as a tracing library has it; asked anew at each request. Default: none. */
  readonly traceparent?: () => string | undefined
  readonly door?: JsonDoor
  readonly forms?: FormDoor
  readonly fetch?: Fetch
}

/** With the header `traceparent`, where there is one; a caller's own stays as it is. */
export function tracedDoors(options: Doors): Required<Pick<Doors, 'door' | 'forms' | 'fetch'>> {
  const { traceparent, door = jsonOverHttp, forms = formOverHttp, fetch: through = platformFetch } = options
  if (traceparent === undefined) return { door, forms, fetch: through }
  const current = () => plainTraceparent(traceparent())
  return {
    door: (request) => {
      const text = request.traceparent ?? current()
      return door(text === undefined ? request : { ...request, traceparent: text })
    },
    forms: (request) => {
      const text = current()
      return forms(text === undefined ? request : { ...request, headers: { ...request.headers, [TRACEPARENT]: text } })
    },
    fetch: (input, init) => {
      const text = current()
      if (text === undefined) return through(input, init)
      const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
      if (!headers.has(TRACEPARENT)) headers.set(TRACEPARENT, text)
      return through(input, { ...init, headers })
    },
  }
}

export function plainTraceparent(text: string | undefined): string | undefined {
  const trace = parseTraceparent(text)
  return trace === undefined ? undefined : formatTraceparent(trace)
}
