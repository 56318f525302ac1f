import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { CommandFailure, UsageError } from '../../../../src/cli/failures.ts'
import { McpDoor } from '../../../../src/cli/scan/mcp-door.ts'

let server: Server
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function doorTo(answer: (response: ServerResponse) => void): Promise<McpDoor> {
  server = createServer((_request, response) => answer(response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return new McpDoor(`http://127.0.0.1:${port}/mcp`, undefined, { bytesMax: 64, timeoutMs: 300 })
}

test.each<[string, (response: ServerResponse) => void]>([
  ['says nothing', () => undefined],
  ['begins and says no more', (response) => void response.write(' ')],
  [
    'streams nothing but time',
    (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n'),
  ],
])('a server that %s is left when the time is up', async (_what, answer) => {
  const door = await doorTo(answer)
  const asked = door.post({ id: 1, method: 'tools/list' })
  await expect(asked).rejects.toThrow('no answer in 0.3 s')
  await expect(asked).rejects.toBeInstanceOf(CommandFailure)
})

test('the bound is on all answers together', async () => {
  const door = await doorTo(
    (response) => void response.setHeader('content-type', 'application/json').end(' '.repeat(40)),
  )
  expect((await door.post({ id: 1, method: 'a' })).response).toBeUndefined()
  await expect(door.post({ id: 2, method: 'b' })).rejects.toThrow('more than 64 bytes')
})

test.each([
  'http://mcp.example/mcp',
  'https://user:pw@mcp.example/',
  'ftp://127.0.0.1/',
  'mcp',
  'https://mcp.example/#x',
])('%s is no URL to scan', (url) => {
  expect(() => new McpDoor(url, undefined)).toThrow(UsageError)
})
