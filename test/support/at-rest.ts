/** What a store has on disk or in memory, changed behind its back: as somebody does who has the database and not the broker. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { asBinary, open } from 'lmdb'
import { systemClock } from '../../src/kernel/clock.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { startRedis } from './redis.ts'

const ORG = 'acme'

/** Keys as the store spells them, without what it puts before all of them. */
export interface AtRest {
  get(key: string): Promise<Buffer | undefined>
  /** `undefined`: removes it. */
  set(key: string, bytes: Buffer | undefined): Promise<void>
  /** All of the log and its documents, as it is now. */
  copy(): Promise<ReadonlyMap<string, Buffer>>
  /** Puts it back to what it was, and nothing beside it. */
  restore(copy: ReadonlyMap<string, Buffer>): Promise<void>
}

export interface StoreAtRest {
  readonly name: string
  /** Where each thing of the log lies. */
  readonly piece: (name: string) => string
  readonly head: string
  readonly document: (name: string) => string
  /** What a broker does. */
  use<T>(act: (store: Store) => Promise<T>): Promise<T>
  /** What is done to it while no broker looks. */
  tamper<T>(act: (data: AtRest) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export function embeddedAtRest(): StoreAtRest {
  const directory = mkdtempSync(join(tmpdir(), 'errand-at-rest-'))
  return {
    name: 'embedded',
    piece: (name) => `log:${name}`,
    head: 'log-head',
    document: (name) => `document:${name}`,
    use: async (act) => {
      const store = await openStore({ kind: 'embedded', directory, org: ORG, clock: systemClock })
      try {
        return await act(store)
      } finally {
        await store.close()
      }
    },
    tamper: async (act) => {
      const root = open<string, string>({ path: join(directory, 'errand.mdb'), encoding: 'string' })
      const prefix = `${ORG}:`
      const isLogs = (key: string) => key.startsWith(`${prefix}log`) || key.startsWith(`${prefix}document:audit-`)
      const keys = () => [...root.getKeys()].filter(isLogs)
      // A large piece lies in parts; one in a single part, however large, is read as well.
      const last = (key: string) => `${prefix}log-parts:${key.replace(/^log:/, '')}`
      const parts = (key: string) =>
        Array.from(
          { length: Number(root.get(last(key)) ?? 0) + 1 },
          (_, n) => `${prefix}${key}${n === 0 ? '' : `+${n}`}`,
        )
      try {
        return await act({
          get: async (key) => {
            const found = parts(key).flatMap((part) => root.getBinary(part) ?? [])
            return found.length === 0 ? undefined : Buffer.concat(found)
          },
          set: async (key, bytes) => {
            const [first = '', ...rest] = parts(key)
            if (rest.length > 0) await Promise.all([...rest, last(key)].map((one) => root.remove(one)))
            await (bytes === undefined ? root.remove(first) : root.put(first, asBinary(bytes) as never))
          },
          copy: async () => new Map(keys().map((key) => [key, Buffer.from(root.getBinary(key) ?? '')])),
          restore: async (copy) => {
            const gone = keys().filter((key) => !copy.has(key))
            await Promise.all(gone.map((key) => root.remove(key)))
            await Promise.all(Array.from(copy, ([key, bytes]) => root.put(key, asBinary(bytes) as never)))
          },
        })
      } finally {
        await root.close()
      }
    },
    close: async () => rmSync(directory, { recursive: true, force: true }),
  }
}

export async function redisAtRest(): Promise<StoreAtRest> {
  const server = await startRedis()
  const raw = new Redis(server.url)
  const store = await openStore({ kind: 'redis', url: server.url, org: ORG })
  const keys = async () => [
    ...(await raw.keys(`{log}:${ORG}:*`)),
    ...(await raw.keys(`{control}:${ORG}:document:audit-*`)),
  ]
  return {
    name: 'redis',
    piece: (name) => `{log}:${ORG}:piece:${name}`,
    head: `{log}:${ORG}:head`,
    document: (name) => `{control}:${ORG}:document:${name}`,
    use: (act) => act(store),
    tamper: (act) =>
      act({
        get: async (key) => (await raw.getBuffer(key)) ?? undefined,
        set: async (key, bytes) => void (await (bytes === undefined ? raw.del(key) : raw.set(key, bytes))),
        copy: async () => {
          const copy = new Map<string, Buffer>()
          for (const key of await keys()) copy.set(key, (await raw.getBuffer(key)) ?? Buffer.alloc(0))
          return copy
        },
        restore: async (copy) => {
          const gone = (await keys()).filter((key) => !copy.has(key))
          await Promise.all(gone.map((key) => raw.del(key)))
          await Promise.all(Array.from(copy, ([key, bytes]) => raw.set(key, bytes)))
        },
      }),
    close: async () => {
      raw.disconnect()
      await store.close()
      await server.stop()
    },
  }
}
