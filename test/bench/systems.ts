/** Starts what is measured, each part as a process of its own: the systems under test, the load generator, one redis-server. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type Company, ISSUER, intentDetails, registryOf } from './company.ts'
import type { Fired, Target } from './generator.ts'
import type { Dialect, Facts, Workload } from './requests.ts'
import { BenchProcess } from './rpc.ts'
import type { ErrandOrder } from './systems/errand.ts'
import type { FloorOrder } from './systems/floor.ts'
import type { PeerOrder } from './systems/peer.ts'
import type { Usage } from './usage.ts'

export const SYSTEMS = ['errand-redis', 'errand-embedded', 'peer', 'floor'] as const
export type SystemName = (typeof SYSTEMS)[number]

/** What one round of one system cost. */
export interface Round extends Fired {
  /** User and system, all threads of the server's process. */
  readonly cpuMicros: number
  readonly mainThreadMicros: number
}

export interface Runner {
  readonly process: BenchProcess
  readonly target: Target
}

export interface BenchOptions {
  readonly connections: number
  /** Tools in each intent, at the server it asks a token for. */
  readonly intentTools: number
}

/** Everything of one run. `close` ends all of it. */
export class Bench {
  readonly company: Company
  readonly generator = new BenchProcess(new URL('./generator.ts', import.meta.url), 'the load generator')
  readonly redis: RunningRedis
  readonly #options: BenchOptions
  readonly #directory = mkdtempSync(join(tmpdir(), 'errand-bench-'))
  readonly #idp: { readonly url: string; close(): void }
  readonly #processes: BenchProcess[] = [this.generator]

  private constructor(company: Company, options: BenchOptions, parts: { redis: RunningRedis; idp: Bench['idp'] }) {
    this.company = company
    this.#options = options
    this.redis = parts.redis
    this.#idp = parts.idp
  }

  static async start(company: Company, options: BenchOptions): Promise<Bench> {
    const bench = new Bench(company, options, { redis: await startRedis(), idp: await serveKeys(company) })
    await bench.generator.call('meet', bench.#facts())
    return bench
  }

  get idp(): { readonly url: string; close(): void } {
    return this.#idp
  }

  async run(name: SystemName): Promise<Runner> {
    switch (name) {
      case 'errand-redis':
        return this.errand(name, { kind: 'redis', url: this.redis.url }, this.company)
      case 'errand-embedded':
        return this.errand(name, { kind: 'embedded', directory: join(this.#directory, name) }, this.company)
      case 'peer':
        return this.#start(name, 'peer', new URL('./systems/peer.ts', import.meta.url), this.#peerOrder())
      case 'floor':
        return this.#start(name, 'floor', new URL('./systems/floor.ts', import.meta.url), this.#floorOrder())
    }
  }

  /** @param company what its registry holds: this bench's, or one that also has this bench's agents */
  errand(name: string, store: ErrandOrder['store'], company: Company): Promise<Runner> {
    const order: ErrandOrder = {
      issuer: ISSUER,
      store,
      keysDirectory: join(this.#directory, `${name}-keys`),
      registry: registryOf(company, this.#idp.url),
    }
    return this.#start(name, 'errand', new URL('./systems/errand.ts', import.meta.url), order)
  }

  async measure({ process, target }: Runner, workload: Workload, count: number): Promise<Round> {
    const before = await process.call<Usage>('usage')
    const fired = await this.generator.call<Fired>('fire', { target, workload, count })
    const after = await process.call<Usage>('usage')
    return {
      ...fired,
      cpuMicros: after.processMicros - before.processMicros,
      mainThreadMicros: after.mainThreadMicros - before.mainThreadMicros,
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.stop()))
    this.#idp.close()
    await this.redis.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #start(name: string, dialect: Dialect, file: URL, order: unknown): Promise<Runner> {
    const process = new BenchProcess(file, name)
    this.#processes.push(process)
    const { port } = await process.call<{ port: number }>('start', order)
    return { process, target: { name, dialect, port, connections: this.#options.connections } }
  }

  #facts(): Facts {
    const { agents, users, resources, idpKey } = this.company
    const jwk = ({ kid, privateKey }: Company['idpKey']) => ({ ...privateKey.export({ format: 'jwk' }), kid })
    return {
      issuer: ISSUER,
      idp: { issuer: this.#idp.url, key: jwk(idpKey) },
      agents: agents.map(({ clientId, upstreamId, key }) => ({ clientId, upstreamId, key: jwk(key) })),
      users,
      intents: resources.map(({ url }, index) => ({
        resource: url,
        scope: 'mcp:tools:read',
        details: intentDetails(this.company, index, this.#options.intentTools),
      })),
    }
  }

  #peerOrder(): PeerOrder {
    const { agents, users, resources } = this.company
    return {
      issuer: ISSUER,
      redisUrl: this.redis.url,
      idp: this.#idp.url,
      clients: agents.map(({ clientId, upstreamId, key }) => ({ clientId, upstreamId, publicJwk: key.publicJwk })),
      users,
      resources: Object.fromEntries(resources.map(({ url, scopes }) => [url, scopes])),
    }
  }

  #floorOrder(): FloorOrder {
    const { agents, idpKey } = this.company
    return {
      idpKey: idpKey.publicJwk,
      agentKeys: Object.fromEntries(agents.map(({ clientId, key }) => [clientId, key.publicJwk])),
    }
  }
}

/** The IdP's key set, over real HTTP. */
async function serveKeys({ idpKey }: Company): Promise<{ readonly url: string; close(): void }> {
  const document = JSON.stringify({ keys: [idpKey.publicJwk] })
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(document)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
