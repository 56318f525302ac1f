/** Starts what is measured, each part as a process of its own: the systems under test, the load generator, one redis-server. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import {
  type Company,
  delegationDetails,
  HOPS_MAX,
  ISSUER,
  intentDetails,
  type KeyPair,
  keyPair,
  registryOf,
} from './company.ts'
import type { Fired, Target } from './generator.ts'
import type { Dialect, Facts, Workload } from './requests.ts'
import { BenchProcess } from './rpc.ts'
import type { ErrandOrder } from './systems/errand.ts'
import type { FloorOrder } from './systems/floor.ts'
import type { PeerOrder } from './systems/peer.ts'
import type { Usage } from './usage.ts'

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

/** Who asks for what: made known to the load generator by name. */
export interface Scene {
  readonly name: string
  readonly company: Company
}

export type StoreOf = ErrandOrder['store']

/** Everything of one run. `close` ends all of it. */
export class Bench {
  readonly generator = new BenchProcess(new URL('./generator.ts', import.meta.url), 'the load generator')
  readonly directory = mkdtempSync(join(tmpdir(), 'errand-bench-'))
  readonly #connections: number
  readonly #idpKey: KeyPair
  readonly #idp: { readonly url: string; close(): void }
  readonly #processes: BenchProcess[] = [this.generator]
  readonly #redisServers: RunningRedis[] = []

  private constructor(connections: number, idpKey: KeyPair, idp: { readonly url: string; close(): void }) {
    this.#connections = connections
    this.#idpKey = idpKey
    this.#idp = idp
  }

  static async start(connections: number): Promise<Bench> {
    const idpKey = keyPair('idp-key')
    const bench = new Bench(connections, idpKey, await serveKeys(idpKey))
    // Gigabytes may be in it when somebody has waited long enough.
    process.once('exit', () => rmSync(bench.directory, { recursive: true, force: true }))
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
    return bench
  }

  async redis(): Promise<RunningRedis> {
    const redis = await startRedis()
    this.#redisServers.push(redis)
    return redis
  }

  /** @param intentTools tools in each intent, at the server that a token is asked for */
  async meet(scene: Scene, intentTools: number): Promise<Facts> {
    const facts = this.#facts(scene.company, intentTools)
    await this.generator.call('meet', { scene: scene.name, facts })
    return facts
  }

  /** @param stubbed without any audit. @param org first segment of the store's keys: what brokers on one Redis must not share */
  errand(name: string, scene: Scene, store: StoreOf, { org = 'default', stubbed = false } = {}): Promise<Runner> {
    const order: ErrandOrder = {
      issuer: ISSUER,
      org,
      stubbed,
      store,
      keysDirectory: join(this.directory, `${name}-keys`),
      registry: registryOf(scene.company, this.#idp.url),
    }
    return this.#start({ name, scene: scene.name, dialect: 'errand' }, './systems/errand.ts', order)
  }

  peer(scene: Scene, redisUrl: string): Promise<Runner> {
    const { agents, users, resources } = scene.company
    const order: PeerOrder = {
      issuer: ISSUER,
      redisUrl,
      idp: this.#idp.url,
      clients: agents.map(({ clientId, upstreamId, key }) => ({ clientId, upstreamId, publicJwk: key.publicJwk })),
      users,
      resources: Object.fromEntries(resources.map(({ url, scopes }) => [url, scopes])),
    }
    return this.#start({ name: 'peer', scene: scene.name, dialect: 'peer' }, './systems/peer.ts', order)
  }

  floor(scene: Scene): Promise<Runner> {
    const order: FloorOrder = {
      idpKey: this.#idpKey.publicJwk,
      agentKeys: Object.fromEntries(scene.company.agents.map(({ clientId, key }) => [clientId, key.publicJwk])),
    }
    return this.#start({ name: 'floor', scene: scene.name, dialect: 'floor' }, './systems/floor.ts', order)
  }

  /** A process that is stopped with the bench. */
  process(file: string, name: string): BenchProcess {
    const process = new BenchProcess(new URL(file, import.meta.url), name)
    this.#processes.push(process)
    return process
  }

  /** @param perSecond a steady rate; without it, each connection asks again as soon as it has its answer */
  async measure({ process, target }: Runner, workload: Workload, count: number, perSecond?: number): Promise<Round> {
    const before = await process.call<Usage>('usage')
    const fired = await this.generator.call<Fired>('fire', { target, workload, count, perSecond })
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
    await Promise.all(this.#redisServers.map((redis) => redis.stop()))
    rmSync(this.directory, { recursive: true, force: true })
  }

  async #start(
    who: { readonly name: string; readonly scene: string; readonly dialect: Dialect },
    file: string,
    order: unknown,
  ): Promise<Runner> {
    const process = this.process(file, who.name)
    const { port } = await process.call<{ port: number }>('start', order)
    return { process, target: { ...who, port, connections: this.#connections } }
  }

  #facts(company: Company, intentTools: number): Facts {
    const { agents, users, resources } = company
    const jwk = ({ kid, privateKey }: KeyPair) => ({ ...privateKey.export({ format: 'jwk' }), kid })
    return {
      issuer: ISSUER,
      idp: { issuer: this.#idp.url, key: jwk(this.#idpKey) },
      agents: agents.map(({ clientId, upstreamId, key }) => ({ clientId, upstreamId, key: jwk(key) })),
      users,
      intents: resources.map(({ url }, index) => ({
        resource: url,
        scope: 'mcp:tools:read',
        details: intentDetails(company, index, intentTools),
        delegations: Array.from({ length: HOPS_MAX }, (_, hop) => delegationDetails(company, index, hop + 1)),
      })),
    }
  }
}

/** The IdP's key set, over real HTTP. */
async function serveKeys(idpKey: KeyPair): Promise<{ readonly url: string; close(): void }> {
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
