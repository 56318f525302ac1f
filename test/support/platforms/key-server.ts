/** The platforms' key servers on one loopback port: each fixture's key set, as it is published, under its `kid`. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerJson } from '../issuer.ts'
import { PLATFORMS } from './all.ts'
import { type PlatformFixture, platformKeys } from './platform.ts'

export interface PlatformKeyServer {
  jwksUri(fixture: PlatformFixture): string
  close(): Promise<void>
}

export async function startPlatformKeys(): Promise<PlatformKeyServer> {
  const server = createServer((request, response) => {
    const fixture = Object.values(PLATFORMS).find(({ kid }) => request.url === `/${encodeURIComponent(kid)}`)
    if (fixture === undefined) response.writeHead(404).end()
    else answerJson(response, platformKeys(fixture))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    jwksUri: ({ kid }) => `http://127.0.0.1:${port}/${encodeURIComponent(kid)}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
