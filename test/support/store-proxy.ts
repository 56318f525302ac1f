/**
 * A TCP proxy on loopback between a broker and its Redis, which can be told to be a bad network: late answers, a connection that
 * is open and carries nothing, one that is cut in the middle of a request.
 */
import { createServer, connect as dial, type Socket } from 'node:net'
import { freePort } from './free-port.ts'

export interface StoreProxy {
  readonly url: string
  /** Bytes that clients have sent so far, whatever became of them. */
  readonly received: number
  /** Every answer comes so much later. */
  delay(ms: number): void
  /** Half-open: connections stay, and new ones are taken, but nothing passes in either direction. */
  swallow(): void
  /** Connections are cut, and new ones refused. */
  refuse(): Promise<void>
  /** As it should be; a connection that has lost bytes stays dead, as TCP would have it: only new ones carry anything. */
  heal(): Promise<void>
  /**
   * What the first request that carries `text` meets. `unanswered`: it is performed, but from then on nothing is answered;
   * `unsent`: it and all after it are lost; `cut`: it is performed, and every connection ends instead of an answer.
   */
  at(text: string, fate: 'unanswered' | 'unsent' | 'cut'): void
  /** Every connection that carries `text` stands still for so long from there on, beside others that do not. */
  hold(text: string, ms: number): void
  close(): Promise<void>
}

export async function startStoreProxy(target: { readonly port: number }): Promise<StoreProxy> {
  const port = await freePort()
  const pairs = new Set<{ readonly client: Socket; readonly server: Socket; dead: boolean }>()
  let delayMs = 0
  let swallowsRequests = false
  let swallowsAnswers = false
  let received = 0
  let held: { readonly text: string; readonly ms: number } | undefined
  let trap: { readonly text: string; readonly fate: 'unanswered' | 'unsent' | 'cut' } | undefined

  /** Answers on their way, in their order. */
  const late: { readonly client: Socket; readonly chunk: Buffer; arrived: boolean }[] = []
  const arriveUpTo = (last: (typeof late)[number] | undefined): void => {
    while (late.length > 0 && last?.arrived !== true) {
      const next = late.shift()
      if (next === undefined) return
      next.arrived = true
      if (next.client.writable) next.client.write(next.chunk)
    }
  }
  const cutAll = (): void => {
    for (const { client, server } of pairs) {
      client.destroy()
      server.destroy()
    }
  }
  const spring = (chunk: Buffer): void => {
    if (trap === undefined || !chunk.includes(trap.text)) return
    const { fate } = trap
    trap = undefined
    swallowsAnswers = true
    if (fate === 'unsent') swallowsRequests = true
    // Long enough for the server to have performed it.
    if (fate === 'cut') {
      setTimeout(() => {
        cutAll()
        swallowsAnswers = false
      }, 20)
    }
  }
  const accept = (client: Socket): void => {
    const server = dial({ port: target.port, host: '127.0.0.1' })
    const pair = { client, server, dead: false }
    pairs.add(pair)
    client.on('data', (chunk) => {
      received += chunk.length
      spring(chunk)
      pair.dead ||= swallowsRequests
      if (pair.dead) return
      if (held === undefined || !chunk.includes(held.text)) return void server.write(chunk)
      client.pause()
      setTimeout(() => {
        server.write(chunk)
        client.resume()
      }, held.ms)
    })
    server.on('data', (chunk) => {
      pair.dead ||= swallowsAnswers
      if (pair.dead) return
      if (delayMs === 0) return void client.write(chunk)
      const answer = { client, chunk, arrived: false }
      late.push(answer)
      setTimeout(() => arriveUpTo(answer), delayMs)
    })
    const end = (): void => {
      pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) socket.on('error', end).on('close', end)
  }
  let listener = createServer(accept)
  const open = () => new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve))
  const shut = () =>
    new Promise<void>((resolve) => {
      if (!listener.listening) return resolve()
      listener.close(() => resolve())
      cutAll()
    })
  await open()
  return {
    url: `redis://127.0.0.1:${port}`,
    get received() {
      return received
    },
    delay: (ms) => {
      delayMs = ms
    },
    swallow: () => {
      swallowsRequests = true
      swallowsAnswers = true
    },
    refuse: shut,
    async heal() {
      trap = undefined
      held = undefined
      delayMs = 0
      arriveUpTo(undefined)
      swallowsRequests = false
      swallowsAnswers = false
      if (listener.listening) return
      listener = createServer(accept)
      await open()
    },
    at: (text, fate) => {
      trap = { text, fate }
    },
    hold: (text, ms) => {
      held = { text, ms }
    },
    close: shut,
  }
}
