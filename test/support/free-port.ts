/** Ports that somebody may listen at. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below those that connections on their way out are given: one of them would take it before it is listened at. */
const [FIRST, LAST] = [10_000, 32_000]
const given = new Set<number>()

export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
