/** The README's SPIFFE blocks, as somebody would paste them: a broker of the real command, a workload with a shell and curl. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { errand, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { writeOwnBroker } from '../support/own-broker.ts'
import { readmeBlock } from '../support/readme.ts'
import { haveTools } from '../support/tools.ts'
import { startTrustDomain, type TestTrustDomain } from '../support/trust-domain.ts'
import { claimsOf } from '../support/world.ts'

const ISSUER = 'https://errand.example'

let domain: TestTrustDomain
let directory: string
let broker: Serving
let port: number
let configFile: string

beforeAll(async () => {
  domain = await startTrustDomain('example.org')
  const registry = parse(readmeBlock('### SPIFFE', 'yaml'))
  // What a test has to have otherwise: the endpoint is on this machine, and its authority is not a public one.
  registry.agents[0].environment = 'development'
  registry.trust_domains[0].bundle_endpoint = { url: domain.url, ca_file: domain.caFile }
  registry.resources = [
    { id: 'wiki', url: 'https://wiki.example/mcp', owner: 'o', project: 'p', tools: { search: { category: 'read' } } },
  ]
  port = await freePort()
  const settings = {
    issuer: ISSUER,
    listen: { port },
    environment: 'development',
    outbound: { allow_loopback: true },
  }
  const own = writeOwnBroker(settings, registry)
  directory = own.directory
  configFile = own.configFile
  broker = await serveErrand(['--config', configFile], directory)
})

afterAll(async () => {
  broker?.signal('SIGTERM')
  await broker?.ended
  await domain?.close()
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
})

test.runIf(haveTools('curl'))('a workload gets its access token with nothing but its SVID', async () => {
  const workload = mkdtempSync(join(tmpdir(), 'errand-workload-'))
  try {
    // As SPIRE's agent writes it.
    const svid = domain.svid('/ns/agents/sa/report-agent', ISSUER)
    const printed = `token(${domain.id('/ns/agents/sa/report-agent')}):\n\t${svid}\nbundle(spiffe://example.org):\n\t{}\n`
    const agent = `#!/bin/sh\n[ "$1 $2 $3 $4 $5" = "api fetch jwt -audience ${ISSUER}" ] || exit 1\ncat <<'END'\n${printed}END\n`
    writeFileSync(join(workload, 'spire-agent'), agent)
    chmodSync(join(workload, 'spire-agent'), 0o755)
    const script = readmeBlock('### SPIFFE', 'sh').replace(`${ISSUER}/token`, `-s http://127.0.0.1:${port}/token`)
    const { code, out, err } = await shell(script, workload)
    expect([code, err]).toEqual([0, ''])
    const answer = JSON.parse(out)
    expect(answer, out).toMatchObject({ token_type: 'Bearer', scope: 'mcp:tools:read' })
    expect(claimsOf(answer.access_token)).toMatchObject({ sub: 'agent:report-agent', agent: { version: '3' } })
  } finally {
    rmSync(workload, { recursive: true, force: true })
  }
})

test('errand check names the domains of the block whose bundles are not here, and finds nothing else wrong', async () => {
  const { code, out } = await errand(['check', '--config', configFile, '--json'], { cwd: directory })
  const { ok, problems, warnings } = JSON.parse(out)
  expect([code, ok, problems]).toEqual([0, true, []])
  const named = (warnings as string[]).filter((warning) => warning.startsWith('trust domain'))
  expect(named.map((warning) => warning.split(':')[0])).toEqual([
    'trust domain other.example',
    'trust domain partner.example',
  ])
})

function shell(script: string, cwd: string): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn('/bin/sh', ['-e', '-c', script], { cwd, env: { PATH: `${cwd}:${process.env['PATH']}` } })
  let out = ''
  let err = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  child.stderr.on('data', (text) => {
    err += text
  })
  return new Promise((done) => child.on('close', (code) => done({ code, out, err })))
}
