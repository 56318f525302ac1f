/** Servers of the demo listen on free ports of this machine's loopback address and nowhere else. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** @returns the server's origin, `http://127.0.0.1:<port>` */
export function listenOnLoopback(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      server.off('error', reject)
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    })
  })
}

export function stopServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
