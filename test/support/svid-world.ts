/**
 * The world's broker on a TLS socket of its own that asks for certificates, for the workloads of a trust domain whose bundle is
 * a file; or behind a proxy, another server on another address, that ends TLS and passes certificates on.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { Agent, createServer, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { CertificateSource } from '../../src/http/client-certificate.ts'
import { type IssuedCertificate, TestAuthority } from './authorities.ts'
import { startIssuer } from './issuer.ts'
import { listenTo } from './raw-http.ts'
import { type Answer, registryDocument, startWorld, type World, type WorldOptions } from './world.ts'

type Members = Record<string, unknown>

/** Where the proxy speaks from: the broker trusts this address and not 127.0.0.1, which everybody else has. */
export const PROXY_ADDRESS = '127.0.0.2'
export const ORCHESTRATOR = 'spiffe://example.org/ns/agents/sa/orchestrator'
export const RESEARCHER = 'spiffe://example.org/researcher'
export const WAREHOUSE_SERVER = 'spiffe://example.org/warehouse'

/** What a client shows: its own certificate first. */
export interface Identity {
  readonly certificates: readonly string[]
  readonly key: string
}

export const shown = (own: IssuedCertificate, ...through: readonly TestAuthority[]): Identity => ({
  certificates: [own.certificate, ...through.map(({ certificate }) => certificate)],
  key: own.key,
})

export interface SvidWorld {
  readonly world: World
  /** The trust domain's. */
  readonly root: TestAuthority
  readonly port: number
  /** Shown by every request from now on. */
  identity: Identity | undefined
  /** Sent with every request from now on. */
  headers: Readonly<Record<string, string>>
  /** From now on the bundle lists these. */
  publish(...authorities: readonly TestAuthority[]): void
  /** Another name of this machine's, so that nobody is who they are by their address. */
  close(): Promise<void>
}

export interface SvidOptions {
  readonly source?: CertificateSource
  /** Changes the world's registry document. */
  readonly registry?: (document: Members) => Members
  readonly world?: WorldOptions
}

export async function startSvidWorld({
  source = 'tls',
  registry,
  world: more = {},
}: SvidOptions = {}): Promise<SvidWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'errand-svid-'))
  const bundleFile = join(directory, 'bundle.json')
  const publish = (...authorities: readonly TestAuthority[]) => {
    const keys = authorities.map(({ der }) => ({ kty: 'EC', use: 'x509-svid', x5c: [der.toString('base64')] }))
    writeFileSync(`${bundleFile}.new`, JSON.stringify({ keys }))
    renameSync(`${bundleFile}.new`, bundleFile)
  }
  const root = await TestAuthority.root({ uris: ['spiffe://example.org'] })
  publish(root)
  const idp = await startIssuer({ slug: 'corp' })
  const document = withSvids(registryDocument(idp), bundleFile)
  const isTls = source === 'tls'
  const world = await startWorld({
    issuer: idp,
    realClock: true,
    registry: registry === undefined ? document : registry(document),
    ...more,
    settings: { mutualTls: { endpoints: undefined }, ...more.settings },
    config: { certificateSource: source, ...(isTls ? {} : { trustedProxies: [PROXY_ADDRESS] }), ...more.config },
  })
  const own = await root.issue({ dns: ['localhost'] })
  const tls = isTls ? { certificate: own.certificate, key: own.key, asksForCertificates: true } : undefined
  const listening = await listenTo(world, {}, tls)
  const svids: SvidWorld = {
    world,
    root,
    port: listening.port,
    identity: undefined,
    headers: {},
    publish,
    close: async () => {
      await listening.stop()
      await world.close()
      await idp.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  world.request = (path, init = {}) => {
    const headers = { ...(init.headers as Record<string, string> | undefined), ...svids.headers }
    return send(
      { path, method: init.method ?? 'GET', headers, body: init.body as string | undefined },
      svids,
      isTls ? root.certificate : undefined,
    )
  }
  return svids
}

interface Sent {
  readonly path: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** A connection of its own, so that each handshake is a whole one or a resumed one. @param ca absent: plain http */
export function send(
  { path, method, headers, body }: Sent,
  { port, identity }: Pick<SvidWorld, 'port' | 'identity'>,
  ca: string | undefined,
  localAddress?: string,
): Promise<Answer> {
  const shows = identity === undefined ? {} : { cert: identity.certificates.join('\n'), key: identity.key }
  const to = { host: '127.0.0.1', port, path, method, headers, ...(localAddress === undefined ? {} : { localAddress }) }
  return new Promise((resolve, reject) => {
    const outgoing =
      ca === undefined
        ? httpRequest(to)
        : httpsRequest({ ...to, agent: new Agent({ ca, servername: 'localhost', ...shows }) })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => {
        const pairs = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as [string, string])
        resolve({
          status: response.statusCode ?? 0,
          headers: new Headers(pairs),
          body: text === '' ? undefined : JSON.parse(text),
        })
      })
    })
    outgoing.end(body)
  })
}

function withSvids(document: Members, bundleFile: string): Members {
  const ids: Readonly<Record<string, readonly unknown[]>> = {
    orchestrator: [{ id: ORCHESTRATOR, version: '7' }],
    researcher: [{ id: RESEARCHER, version: '2' }],
    'warehouse-server': [{ id: WAREHOUSE_SERVER, version: '1' }],
  }
  const withIds = (entries: unknown) =>
    (entries as Members[]).map((entry) => ({ ...entry, spiffe_ids: ids[entry['client_id'] as string] ?? [] }))
  return {
    ...document,
    trust_domains: [{ name: 'example.org', bundle_file: bundleFile }],
    agents: withIds(document['agents']),
    services: withIds(document['services']),
  }
}

/** What a proxy makes of a client's certificates: headers that it writes itself. */
export type PassOn = (chain: readonly Buffer[]) => Readonly<Record<string, string>>

export interface TestProxy {
  readonly port: number
  readonly ca: string
  close(): Promise<void>
}

/**
 * @param strips names of headers that it takes from clients; a careless proxy takes none
 * @param passOn added to what is left
 */
export async function startProxy(broker: number, strips: readonly string[], passOn: PassOn): Promise<TestProxy> {
  const authority = await TestAuthority.root()
  const own = await authority.issue({ dns: ['localhost'] })
  const options = { cert: own.certificate, key: own.key, requestCert: true, rejectUnauthorized: false }
  const server = createServer(options, (incoming, answer) => {
    const chain: Buffer[] = []
    for (
      let at = (incoming.socket as TLSSocket).getPeerX509Certificate();
      at !== undefined;
      at = at.issuerCertificate
    ) {
      chain.push(at.raw)
    }
    const headers: string[] = []
    for (let at = 0; at + 1 < incoming.rawHeaders.length; at += 2) {
      const [name = '', value = ''] = incoming.rawHeaders.slice(at, at + 2)
      if (!strips.includes(name.toLowerCase())) headers.push(name, value)
    }
    for (const pair of Object.entries(passOn(chain))) headers.push(...pair)
    const { url: path, method } = incoming
    const onward = { host: '127.0.0.1', port: broker, localAddress: PROXY_ADDRESS, path, method, headers }
    const outgoing = httpRequest(onward, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.rawHeaders)
      response.pipe(answer)
    })
    incoming.pipe(outgoing)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    ca: authority.certificate,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
