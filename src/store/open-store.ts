/** Opens the store a configuration names. What comes back has answered once: a broker never starts on a store it cannot reach. */
import { unreachable } from '../kernel/rejection.ts'
import type { EmbeddedOptions } from './embedded-store.ts'
import type { Store } from './ports.ts'
import type { RedisStoreOptions } from './redis-store.ts'

export type StoreOptions =
  | ({ readonly kind: 'embedded' } & EmbeddedOptions)
  | ({ readonly kind: 'redis' } & RedisStoreOptions)

/** Reads the client of the one store only. @throws StoreUnavailable with a text an operator can act on. */
export async function openStore(options: StoreOptions): Promise<Store> {
  switch (options.kind) {
    case 'embedded':
      return (await import('./embedded-store.ts')).openEmbeddedStore(options)
    case 'redis':
      return (await import('./redis-store.ts')).openRedisStore(options)
    default:
      return unreachable(options)
  }
}
