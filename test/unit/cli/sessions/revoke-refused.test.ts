/** What an operator is told where a revocation was refused: whether it is in force, and what comes next. */
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { errand } from '../../../support/errand-command.ts'
import { scratchDirectory } from '../../../support/scratch.ts'

let server: Server | undefined
afterEach(() => server?.close())

async function refusedFor(reason: string): Promise<string> {
  const cwd = scratchDirectory('errand-revoke-')
  server = createServer((_request, response) => {
    response.writeHead(503, { 'Content-Type': 'application/json', 'Retry-After': '1' })
    response.end(JSON.stringify({ error: 'temporarily_unavailable', error_description: 'later', error_reason: reason }))
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const broker = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const signIn = { issuer: broker, broker, token: 'none', expires_at: 4_070_908_800 }
  writeFileSync(join(cwd, 'admin.json'), JSON.stringify(signIn), { mode: 0o600 })
  const { code, err } = await errand(['revoke', '--agent', 'reporter', '--admin', 'admin.json'], { cwd })
  expect(code, err).toBe(1)
  return err
}

test('a store that does not answer: as if nothing was revoked', async () => {
  expect(await refusedFor('store_unavailable')).toContain('Take it that nothing was revoked')
})

test('not on every replica yet: it is in force, and a failover may lose it', async () => {
  const said = await refusedFor('write_unreplicated')
  expect(said).toContain('It is revoked at every broker')
  expect(said).not.toContain('nothing was revoked')
})
