/** The socket: bounded in time on the way in, and drained on the way out. */
import { serve } from '@hono/node-server'
import type { Hono } from 'hono'
import { REQUEST_TIMEOUT_MS, SHUTDOWN_GRACE_MS, SHUTDOWN_POLL_MS } from '../kernel/limits.ts'

export interface Listening {
  readonly port: number
  /** Stops accepting, lets requests in flight finish, then closes what answered them. */
  stop(): Promise<void>
}

/** What answers: a broker. */
export interface Answering {
  readonly app: { readonly fetch: Hono['fetch'] }
  close(): Promise<void>
}

export interface ListenAddress {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
}

export function listen(broker: Answering, address: ListenAddress): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: broker.app.fetch, hostname: address.host, port: address.port }, (info) => {
      server.off('error', reject)
      resolve({ port: info.port, stop })
    })
    server.once('error', reject)
    if ('requestTimeout' in server) {
      server.requestTimeout = REQUEST_TIMEOUT_MS
      server.headersTimeout = REQUEST_TIMEOUT_MS
    }
    let stopping = false
    // Whoever keeps a connection and asks again while we stop is answered, and told that this was the last time.
    server.prependListener('request', (_request, response) => {
      if (stopping) response.setHeader('Connection', 'close')
    })
    const stop = async () => {
      stopping = true
      const closed = new Promise<void>((done) => server.close(() => done()))
      // Again and again: a connection whose last answer has just been sent would hold us up for its keep-alive time.
      const closeIdle = () => 'closeIdleConnections' in server && server.closeIdleConnections()
      closeIdle()
      const idle = setInterval(closeIdle, SHUTDOWN_POLL_MS)
      const grace = setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), SHUTDOWN_GRACE_MS)
      await closed
      clearInterval(idle)
      clearTimeout(grace)
      await broker.close()
    }
  })
}
