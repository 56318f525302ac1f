/**
 * MCP's own conformance suite and the Inspector's command line: the authorization-server scenarios on the broker, the server
 * scenarios of both revisions through `errand proxy`, to a server behind Errand's verifier. What fails, and why, stands in
 * `mcp-expected-failures.yaml`; a failure that is not there, and an entry that passes, are errors.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { JOSE_HEADER } from '../support/jose-header.ts'
import { conformance, inspector } from '../support/mcp-programs.ts'
import { type Proxied, startProxied } from '../support/proxied-server.ts'

const EXPECTED = join(import.meta.dirname, 'mcp-expected-failures.yaml')
const expected = parse(readFileSync(EXPECTED, 'utf8')) as Readonly<
  Record<'server' | 'authorization', readonly string[]>
>

let here: Proxied
let url: string
beforeAll(async () => {
  here = await startProxied()
  url = (await here.proxy()).url
})
afterAll(() => here?.close())

interface Check {
  readonly id: string
  readonly status: string
  readonly errorMessage?: string
}

/** Each check of the scenarios that a run has saved, under `<scenario>:<check>`. */
function checksIn(directory: string): ReadonlyMap<string, Check> {
  const runs = readdirSync(directory).map((name) => {
    const [, scenario = ''] = /^authorization-server-(.+)-\d{4}-\d\d-\d\dT.*$/.exec(name) ?? []
    return { scenario, checks: JSON.parse(readFileSync(join(directory, name, 'checks.json'), 'utf8')) as Check[] }
  })
  return new Map(runs.flatMap(({ scenario, checks }) => checks.map((one) => [`${scenario}:${one.id}`, one] as const)))
}

async function authorization(issuer: string, name: string) {
  const directory = join(here.directory, name)
  const ran = await conformance(
    ['authorization', '--url', issuer, '--spec-version', '2026-07-28', '-o', directory],
    here.directory,
  )
  return { ran, checks: checksIn(directory) }
}

describe('the broker as an authorization server', () => {
  test('fails what is expected to fail, and nothing else', async () => {
    const { checks } = await authorization(here.fleet.issuer, 'broker')
    const failed = [...checks].filter(([, { status }]) => status === 'FAILURE')
    expect(failed.map(([name]) => name)).toEqual(expected.authorization)
    expect(failed[0]?.[1].errorMessage).toContain('response_types_supported')
  })

  test('passes the rest of that check: with "code" in that one member its metadata are as the suite wants them', async () => {
    const relay = createServer(async (request, response) => {
      const document = await (await fetch(here.fleet.issuer + request.url)).text()
      response.setHeader('content-type', 'application/json')
      response.end(
        document
          .replaceAll(here.fleet.issuer, `http://127.0.0.1:${(relay.address() as AddressInfo).port}`)
          .replace('"response_types_supported":[]', '"response_types_supported":["code"]'),
      )
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    const { port } = relay.address() as AddressInfo
    const { ran, checks } = await authorization(`http://127.0.0.1:${port}`, 'relay')
    relay.closeAllConnections()
    relay.close()
    expect(ran.code, ran.out).toBe(0)
    expect(checks.get('authorization-server-metadata-endpoint:authorization-server-metadata')?.status).toBe('SUCCESS')
  })
})

test.each(['2025-11-25', '2026-07-28'])('the server scenarios of MCP %s, through errand proxy', async (revision) => {
  const baseline = ['--expected-failures', EXPECTED]
  const { code, out } = await conformance(
    ['server', '--url', url, '--requirements', revision, ...baseline],
    here.directory,
  )
  expect(out).toContain('Baseline check passed')
  expect(code, out.slice(-4_000)).toBe(0)
  // The proxy is what was tested, and a call has passed it with a token.
  expect(here.seen.some(({ headers }) => headers.authorization?.startsWith('Bearer ey'))).toBe(true)
})

describe('the Inspector', () => {
  const token = async () =>
    (await here.broker.clientCredentials('orchestrator', { resource: here.resource })).body.access_token
  const places = [
    ['through errand proxy', async () => [url]],
    ['with a header', async () => [here.resource, '--header', `Authorization: Bearer ${await token()}`]],
  ] as const

  test.each(places)('%s lists tools, calls one, and can read why another is refused', async (_where, target) => {
    const at = [...(await target()), '--transport', 'http', '--method']
    const listed = await inspector([...at, 'tools/list'], here.directory)
    expect(JSON.parse(listed.out).tools.map(({ name }: { name: string }) => name)).toContain('test_simple_text')
    const called = await inspector([...at, 'tools/call', '--tool-name', 'test_simple_text'], here.directory)
    expect(JSON.parse(called.out).content[0].text).toBe('This is a simple text response for testing.')
    const refused = await inspector([...at, 'tools/call', '--tool-name', 'edit_page'], here.directory)
    expect(refused.code).not.toBe(0)
    expect(refused.err).toContain('mcp:tools:write')
    expect(refused.err).not.toMatch(JOSE_HEADER)
  })
})
