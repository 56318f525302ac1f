/** The README's recipe for Python's `httpx`, run as it stands there, against a server behind Errand's verifier. */
import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Proxied, startProxied } from '../support/proxied-server.ts'
import { readmeBlock } from '../support/readme.ts'

const MAIN = join(resolve(import.meta.dirname, '../..'), 'src', 'main.ts')
const CALLS = `
import sys
resource, node, main, *options = sys.argv[1:]
call = lambda name: {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}}}
accept = {"accept": "application/json, text/event-stream"}
auth = ErrandAuth(resource, *options, errand=(node, main))
with httpx.Client(auth=auth, headers=accept, timeout=30) as client:
    print(client.post(resource, json=call("test_simple_text")).status_code)
    print(client.post(resource, json=call("test_simple_text")).status_code)
    print(client.post(resource, json=call("edit_page")).status_code)
    try:
        print(client.post(resource + "/elsewhere", json={}).status_code)
    except httpx.RequestError as fault:
        print(fault)
`

const hasHttpx = spawnSync('python3', ['-c', 'import httpx']).status === 0
if (!hasHttpx) console.warn('skipped for want of python3 with httpx: install it to have the recipe tested')

describe.skipIf(!hasHttpx)('the recipe for httpx', () => {
  let here: Proxied
  beforeAll(async () => {
    here = await startProxied()
  })
  afterAll(() => here?.close())

  test('calls with a fresh token, once more after a 401, and sends it nowhere else', async () => {
    const script = join(here.directory, 'recipe.py')
    const heading = '### Clients that cannot get tokens'
    writeFileSync(script, readmeBlock(heading, 'python') + CALLS)
    let refusals = 1
    here.instead = () => (refusals-- > 0 ? new Response(null, { status: 401 }) : undefined)
    const python = spawn('python3', [script, here.resource, process.execPath, MAIN, ...here.agent])
    let written = ''
    python.stdout.on('data', (text) => {
      written += text
    })
    python.stderr.on('data', (text) => {
      written += text
    })
    await new Promise((done) => python.once('close', done))
    expect(written.trim().split('\n')).toEqual(['200', '200', '403', 'a token is for its own server only'])
    const bearers = here.seen.map(({ headers }) => headers.authorization)
    // Refused, another, and that one from then on.
    expect(bearers).toHaveLength(4)
    expect(new Set(bearers).size).toBe(2)
  })
})
