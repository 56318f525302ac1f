/** A load balancer of TCP connections without stickiness: the next broker for each, and another where that one does not answer. */
import { createServer, connect as dial, type Socket } from 'node:net'

export interface LoadBalancer {
  readonly url: string
  /** Ports of the brokers there are now. */
  serve(ports: readonly number[]): void
  close(): Promise<void>
}

/** Who has not taken a connection in this time is passed over. */
const CONNECT_MS_MAX = 300

export async function startLoadBalancer(): Promise<LoadBalancer> {
  let ports: readonly number[] = []
  let turn = 0
  const sockets = new Set<Socket>()
  const forward = (client: Socket, left: number): void => {
    const port = ports[turn++ % Math.max(1, ports.length)]
    if (port === undefined || left === 0) return void client.destroy()
    const server = dial({ port, host: '127.0.0.1', timeout: CONNECT_MS_MAX })
    let connected = false
    server.once('connect', () => {
      connected = true
      server.setTimeout(0)
      client.pipe(server).pipe(client)
    })
    const failed = (): void => {
      server.destroy()
      if (connected) client.destroy()
      else if (!client.destroyed) forward(client, left - 1)
    }
    server.once('timeout', failed)
    server.once('error', failed)
    server.once('close', () => connected && client.destroy())
    client.once('close', () => server.destroy())
  }
  const listener = createServer((client) => {
    sockets.add(client)
    client.on('error', () => undefined)
    client.once('close', () => sockets.delete(client))
    forward(client, ports.length)
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    serve: (now) => {
      ports = now
    },
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
