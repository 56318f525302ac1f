/**
 * Brokers as processes of their own, spoken to over real sockets: several on one Redis with the same issuer and the same
 * keys, or one on its own directory. Each can be killed, paused and stopped. What a test says to one is `World`'s vocabulary.
 */
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Broker } from '../../src/broker.ts'
import { developmentConfig } from '../../src/config/development.ts'
import { epochSeconds, systemClock } from '../../src/kernel/clock.ts'
import { operatorPrincipal } from '../../src/kernel/ids.ts'
import { loadKeys } from '../../src/keys/key-files.ts'
import { KeyRing } from '../../src/keys/key-ring.ts'
import { ADMIN_ROLES } from '../../src/model/admin-role.ts'
import type { BrokerSettings } from '../../src/model/settings.ts'
import { openStore } from '../../src/store/open-store.ts'
import { Minter } from '../../src/tokens/minter.ts'
import type { ChildFault, ChildOrder } from './broker-child.ts'
import { type RunningChild, runChild } from './child.ts'
import { startIssuer, type TestIssuer } from './issuer.ts'
import type { KillOrder } from './kill-steps.ts'
import { PATIENCE_MS } from './patience.ts'
import { checkRecords } from './record-schema.ts'
import { scratchDirectory } from './scratch.ts'
import { standStill } from './stand-still.ts'
import { storeConfig } from './store-order.ts'
import { registryDocument, World } from './world.ts'

const CHILD = new URL('./broker-child.ts', import.meta.url)
/** Longer than any answer may take: whoever waits this long waits for nothing. */
const ANSWER_MS_MAX = PATIENCE_MS

export interface BrokerProcess extends World {
  /** Where it listens; not its issuer, which all of a fleet share. */
  readonly url: string
  /** Resolves when it has ended, however it did. */
  readonly exited: Promise<unknown>
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>
  /** SIGTERM; its exit code. */
  stop(): Promise<number | null>
  /** SIGSTOP: its sockets stay open, nothing answers. */
  pause(): void
  /** SIGHUP: it reads its key directory again. */
  reload(): void
  resume(): void
  /** Sets its clock, or holds its event loop up; resolves when that is done. */
  suffer(fault: ChildFault): Promise<void>
}

export interface FleetOptions {
  readonly store: ChildOrder['store']
  readonly settings?: Partial<BrokerSettings>
  readonly dpop?: ChildOrder['dpop']
  readonly auditExport?: ChildOrder['auditExport']
  /** How long audit records are kept. Default: a year. */
  readonly keepMs?: number
  /** Changes the world's registry document. */
  readonly registry?: (document: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
}

export interface MemberOptions {
  /** A machine of its own: what it has of the keys. Default: the fleet's. */
  readonly keysDirectory?: string
  readonly port?: number
  readonly clockOffsetMs?: number
  readonly kill?: KillOrder
}

/** What brokers share: an issuer, signing keys, a registry, a store. */
export class Fleet {
  readonly idp: TestIssuer
  readonly issuer: string
  readonly keysDirectory: string
  readonly #directory: string
  readonly #options: FleetOptions
  readonly #members: BrokerProcess[] = []
  /** Has read its program already. */
  #spare: RunningChild | undefined

  constructor(idp: TestIssuer, directory: string, options: FleetOptions) {
    this.idp = idp
    this.#directory = directory
    this.#options = options
    this.issuer = options.settings?.issuer ?? 'https://errand.example'
    this.keysDirectory = join(directory, 'keys')
  }

  /** One more broker; resolves when it listens. */
  async start({
    port = 0,
    clockOffsetMs = 0,
    keysDirectory = this.keysDirectory,
    kill,
  }: MemberOptions = {}): Promise<BrokerProcess> {
    const { store, settings, registry, dpop, auditExport, keepMs } = this.#options
    const child = this.#spare ?? runChild(CHILD, [])
    this.#spare = undefined
    const listening = new Promise<string>((resolve, reject) => {
      child.onLine((line) => (line.startsWith('listening ') ? resolve(line) : reject(new Error(line))))
      void child.exited.then((code) => reject(new Error(`the broker ended with code ${code} before it listened`)))
    })
    const document = registryDocument(this.idp)
    const order: ChildOrder = {
      port,
      settings: { ...settings, issuer: this.issuer },
      store,
      keysDirectory,
      registry: registry === undefined ? document : registry(document),
      clockOffsetMs,
      ...(dpop === undefined ? {} : { dpop }),
      ...(auditExport === undefined ? {} : { auditExport }),
      ...(keepMs === undefined ? {} : { keepMs }),
      ...(kill === undefined ? {} : { kill }),
    }
    child.send(JSON.stringify(order))
    const url = `http://127.0.0.1:${(await listening).slice('listening '.length)}`
    const base = developmentConfig({ port, store: embeddedPlaceholder, keysDirectory: this.keysDirectory })
    const world = new World({
      clock: systemClock,
      idp: this.idp,
      config: { ...base, settings: { ...base.settings, ...order.settings } },
      broker: brokerAt(url),
      directory: join(this.#directory, 'nothing'),
      ownsIdp: false,
    })
    const member: BrokerProcess = Object.assign(world, {
      url,
      exited: child.exited,
      kill: () => child.kill(),
      stop: () => {
        child.process.kill('SIGTERM')
        return child.exited
      },
      reload: () => void child.process.kill('SIGHUP'),
      pause: () => {
        if (child.process.pid !== undefined) standStill(child.process.pid)
      },
      resume: () => void child.process.kill('SIGCONT'),
      suffer: async (fault: ChildFault) => {
        const suffered = () => child.lines.filter((line) => line === 'suffered').length
        const before = suffered()
        child.send(JSON.stringify(fault))
        await until(async () => suffered() > before)
      },
    })
    this.#members.push(member)
    return member
  }

  /** Starts the process of the next broker, so that it takes less time to start. */
  warm(): void {
    this.#spare ??= runChild(CHILD, [])
  }

  /** What `errand admin token` prints on the brokers' machine: whoever can read the keys may administer. */
  async managementToken(): Promise<string> {
    const ring = new KeyRing(await loadKeys(this.keysDirectory, { development: true }))
    const { settings } = developmentConfig({ port: 1, store: embeddedPlaceholder, keysDirectory: this.keysDirectory })
    const minter = new Minter(ring, { ...settings, ...this.#options.settings, issuer: this.issuer })
    const now = epochSeconds(systemClock)
    return (
      await minter.management({ operator: operatorPrincipal('tester'), roles: ADMIN_ROLES, now, expiresAt: now + 600 })
    ).token.reveal()
  }

  /** Whatever was done here was recorded as the catalogue of events says, or this fails: as of a world, where the store is still there. */
  async close(): Promise<void> {
    await Promise.all([...this.#members.map((member) => member.kill()), this.#spare?.kill()])
    const checked = this.#checkRecords()
    await checked.catch(() => undefined)
    await this.idp.close()
    rmSync(this.#directory, { recursive: true, force: true })
    await checked
  }

  async #checkRecords(): Promise<void> {
    if (this.#members.length === 0) return
    const { store: order } = this.#options
    if ('url' in order && !(await isListening(new URL(order.url)))) return
    const config = storeConfig(order)
    const common = { ...config, org: 'default' }
    const store = await openStore(common.kind === 'embedded' ? { ...common, clock: systemClock } : common).catch(
      () => undefined,
    )
    if (store === undefined) return
    try {
      await checkRecords(store.audit)
    } finally {
      await store.close()
    }
  }
}

/** @param makeOptions is told a directory of the fleet's own, removed by `close`. */
export async function startFleet(makeOptions: (directory: string) => FleetOptions): Promise<Fleet> {
  const directory = scratchDirectory('errand-fleet-')
  return new Fleet(await startIssuer({ slug: 'corp' }), directory, makeOptions(directory))
}

/** Of a Redis that a test has ended nothing is asked: a store would wait for it. */
function isListening({ hostname, port }: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    const told = (is: boolean) => () => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', told(true)).once('error', told(false))
  })
}

/** Asks again and again until it is so; how many milliseconds that took. @throws after `withinMs` */
export async function until(
  holds: () => Promise<boolean>,
  withinMs: number = PATIENCE_MS,
  everyMs = 5,
): Promise<number> {
  const begun = performance.now()
  for (;;) {
    if (await holds()) return performance.now() - begun
    if (performance.now() - begun > withinMs) throw new Error(`not within ${withinMs} ms`)
    await sleep(everyMs)
  }
}

const embeddedPlaceholder = { kind: 'embedded', directory: 'unused' } as const

/** As much of a broker as `World` needs to speak to one: its requests, over the socket. */
export function brokerAt(url: string): Broker {
  const request = (path: string, init: RequestInit = {}) =>
    fetch(url + path, { ...init, redirect: 'error', signal: AbortSignal.timeout(ANSWER_MS_MAX) })
  return { app: { request } } as unknown as Broker
}
