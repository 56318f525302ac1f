/**
 * What the README tells operators and workloads of each platform to paste, pasted: the registry block becomes a broker's
 * registry, and the other side's commands run in a shell, with the platform's own services played on loopback.
 */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { getRequestListener } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeRegistryDocuments } from '../../src/registry/load-registry.ts'
import { parseYamlText } from '../../src/registry/strict-document.ts'
import { answerJson } from '../support/issuer.ts'
import { sign, vary } from '../support/keys.ts'
import { aws } from '../support/platforms/aws.ts'
import { azure } from '../support/platforms/azure.ts'
import { gcp } from '../support/platforms/gcp.ts'
import { githubActions } from '../support/platforms/github-actions.ts'
import { gitlab } from '../support/platforms/gitlab.ts'
import { kubernetes } from '../support/platforms/kubernetes.ts'
import { oidc } from '../support/platforms/oidc.ts'
import { type PlatformFixture, platformKeys, platformToken } from '../support/platforms/platform.ts'
import { type ReadmeBlock, readmeBlocks, readmeHeadings } from '../support/readme.ts'
import { haveTools } from '../support/tools.ts'
import { claimsOf, registryDocument, startWorld, WAREHOUSE, type World } from '../support/world.ts'

const ISSUER = 'https://errand.example'
/** Client id of the app registration that stands for the broker, of which IMDS is asked by its URI. */
const ENTRA_AUDIENCE = '11112222-bbbb-3333-cccc-4444dddd5555'

const blocks = (platform: string) => readmeBlocks(`### ${platform}`)

// biome-ignore lint/suspicious/noExplicitAny: an operator's document, before it is decoded
type Raw = any

const yaml = (block: ReadmeBlock | undefined): Raw => parseYamlText(block?.text ?? '', 'README.md')

let directory: string
let world: World | undefined
let broker: Server | undefined
let platform: Server
let platformUrl: string
let issue: (audience: string) => string = () => ''
const asked: string[] = []

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-blocks-'))
  platform = createServer((request, response) => {
    asked.push(request.url ?? '')
    const { pathname, searchParams } = new URL(request.url ?? '/', platformUrl)
    const audience = searchParams.get('audience') ?? ''
    if (pathname.startsWith('/computeMetadata/') && said(request, 'metadata-flavor') === 'Google') {
      response.end(issue(audience))
    } else if (pathname === '/metadata/identity/oauth2/token' && said(request, 'metadata') === 'true') {
      answerJson(response, { access_token: issue(ENTRA_AUDIENCE), token_type: 'Bearer' })
    } else if (pathname === '/github' && said(request, 'authorization') === 'Bearer job') {
      answerJson(response, { value: issue(audience) })
    } else response.writeHead(403).end()
  })
  platformUrl = await listening(platform)
})
afterAll(async () => {
  await close()
  platform.closeAllConnections()
  platform.close()
  rmSync(directory, { recursive: true, force: true })
})

const said = (request: IncomingMessage, header: string) => request.headers[header]

async function listening(server: Server): Promise<string> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function close(): Promise<void> {
  broker?.closeAllConnections()
  broker?.close()
  await world?.close()
  broker = undefined
  world = undefined
}

/** A broker with the block's registry, whose keys of the platform are read from a file instead of from the Internet. */
async function serve(fixture: PlatformFixture, registry: Raw): Promise<string> {
  const [entry] = registry.workload_issuers
  expect(entry.issuer).toBe(fixture.issuer)
  const jwksFile = join(directory, `${entry.slug}.json`)
  writeFileSync(jwksFile, JSON.stringify(platformKeys(fixture)))
  const { jwks_uri: _public, ca_file: _ca, credential_file: _credential, ...rest } = entry
  await close()
  world = await startWorld({
    settings: { issuer: ISSUER, environment: 'production' },
    registry: { ...registry, workload_issuers: [{ ...rest, jwks_file: jwksFile }] },
  })
  const { now } = { now: world.now() }
  issue = (audience) => sign(platformToken(fixture, audience, now)).reveal()
  broker = createServer(getRequestListener(world.broker.app.fetch))
  return listening(broker)
}

/** Runs a workload's commands as a user would, with names of the Internet replaced by loopback. */
async function paste(script: string, url: string, env: Readonly<Record<string, string>> = {}): Promise<Raw> {
  const bin = join(directory, 'bin')
  mkdirSync(bin, { recursive: true })
  const stub = join(bin, 'aws')
  writeFileSync(stub, '#!/bin/sh\nprintf \'%s\\n\' "$*" >>"$ASKED"\nprintf \'%s\\n\' "$WEB_IDENTITY_TOKEN"\n')
  chmodSync(stub, 0o755)
  const local = script
    .replaceAll(`${ISSUER}/token`, `${url}/token`)
    .replaceAll(/http:\/\/(metadata\.google\.internal|169\.254\.169\.254)/g, platformUrl)
    .replaceAll('/var/run/secrets/errand', directory)
  const { stdout } = await promisify(execFile)('sh', ['-c', local], {
    env: { PATH: `${bin}:${process.env['PATH']}`, ASKED: join(directory, 'asked'), ...env },
    timeout: 20_000,
  })
  return JSON.parse(stdout)
}

async function expectOurs(answer: Raw): Promise<void> {
  expect(answer, JSON.stringify(answer)).toHaveProperty('access_token')
  expect(claimsOf(answer.access_token)).toMatchObject({ sub: 'agent:report-agent', aud: WAREHOUSE, iss: ISSUER })
}

describe.runIf(haveTools('curl', 'jq'))('what the README says to paste', () => {
  test('Kubernetes: registry, pod, and the request with the file that the pod gets', async () => {
    const [registry, pod, request] = blocks('Kubernetes')
    const url = await serve(kubernetes, yaml(registry))
    const [volume] = yaml(pod).spec.volumes
    const [{ serviceAccountToken }] = volume.projected.sources
    const [mount] = yaml(pod).spec.containers[0].volumeMounts
    expect(mount).toMatchObject({ name: volume.name, mountPath: '/var/run/secrets/errand' })
    writeFileSync(join(directory, serviceAccountToken.path), issue(serviceAccountToken.audience))
    await expectOurs(await paste(request?.text ?? '', url))
  })

  test('GitHub Actions: registry, and the step of the workflow', async () => {
    const [registry, workflow] = blocks('GitHub Actions')
    const url = await serve(githubActions, yaml(registry))
    const { jobs, permissions } = yaml(workflow)
    expect(permissions).toEqual({ 'id-token': 'write' })
    const env = { ACTIONS_ID_TOKEN_REQUEST_URL: `${platformUrl}/github?v=1`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'job' }
    await expectOurs(await paste(jobs.report.steps[0].run, url, env))
  })

  test('GitLab: registry, and the script of the job', async () => {
    const [registry, pipeline] = blocks('GitLab CI/CD')
    const url = await serve(gitlab, yaml(registry))
    const { id_tokens, script } = yaml(pipeline).report
    await expectOurs(await paste(script[0], url, { ERRAND_TOKEN: issue(id_tokens.ERRAND_TOKEN.aud) }))
  })

  test('AWS: registry, and the command with what STS gives for it', async () => {
    const [registry, request] = blocks('AWS')
    const url = await serve(aws, yaml(registry))
    const audience = /--audience (\S+)/.exec(request?.text ?? '')?.[1] ?? ''
    await expectOurs(await paste(request?.text ?? '', url, { WEB_IDENTITY_TOKEN: issue(audience) }))
    expect(readFileSync(join(directory, 'asked'), 'utf8')).toMatch(
      /^sts get-web-identity-token --audience https:\/\/errand/,
    )
  })

  test('Google Cloud: registry, and the command on an instance', async () => {
    const [registry, request] = blocks('Google Cloud')
    await expectOurs(await paste(request?.text ?? '', await serve(gcp, yaml(registry))))
  })

  test('Azure: registry, and the command on a machine with an identity', async () => {
    const [registry, request] = blocks('Azure and Entra')
    const { workload_issuers } = yaml(registry)
    expect(workload_issuers[0].audiences).toEqual([ENTRA_AUDIENCE])
    await expectOurs(await paste(request?.text ?? '', await serve(azure, yaml(registry))))
    expect(asked.at(-1)).toContain('resource=api://errand')
  })

  test('any other issuer: its registry', async () => {
    const [registry] = blocks('Any other OpenID issuer')
    const url = await serve(oidc, yaml(registry))
    const [, , request] = blocks('Kubernetes')
    writeFileSync(join(directory, 'token'), issue(ISSUER))
    await expectOurs(await paste(request?.text ?? '', url))
  })

  test('a token of somebody else gets nothing from the same commands', async () => {
    const [registry, , request] = blocks('Kubernetes')
    const url = await serve(kubernetes, yaml(registry))
    const other = vary(platformToken(kubernetes, ISSUER, world?.now() ?? 0), {
      claims: { sub: 'system:serviceaccount:default:report-agent' },
    })
    writeFileSync(join(directory, 'token'), sign(other).reveal())
    expect(await paste(request?.text ?? '', url)).toMatchObject({ error: 'invalid_client' })
  })

  test('every registry block is one that a broker loads, as it stands', async () => {
    const headings = readmeHeadings('## Platforms')
    const documents = headings
      .flatMap((heading) => readmeBlocks(heading).map((block) => ({ heading, block })))
      .filter(({ block }) => block.language === 'yaml' && block.text.startsWith('workload_issuers:'))
    expect(documents.length).toBe(8)
    const idp = await import('../support/issuer.ts').then(({ startIssuer }) => startIssuer({ slug: 'corp' }))
    const { agents: _agents, ...base } = registryDocument(idp)
    await idp.close()
    for (const { heading, block } of documents) {
      const both = [
        { document: base, sourceName: 'base.yaml' },
        { document: yaml(block), sourceName: heading },
      ]
      expect(decodeRegistryDocuments(both, { issuer: ISSUER }).workloadIssuers).toHaveLength(1)
    }
  })
})
