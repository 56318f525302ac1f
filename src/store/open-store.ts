/** Opens the store a configuration names. What comes back has answered once: a broker never starts on a store it cannot reach. */
import { unreachable } from '../kernel/rejection.ts'
import { type EmbeddedOptions, openEmbeddedStore } from './embedded-store.ts'
import type { Store } from './ports.ts'
import { openRedisStore, type RedisStoreOptions } from './redis-store.ts'

export type StoreOptions =
  | ({ readonly kind: 'embedded' } & EmbeddedOptions)
  | ({ readonly kind: 'redis' } & RedisStoreOptions)

/** @throws StoreUnavailable with a text an operator can act on. */
export async function openStore(options: StoreOptions): Promise<Store> {
  switch (options.kind) {
    case 'embedded':
      return openEmbeddedStore(options)
    case 'redis':
      return openRedisStore(options)
    default:
      return unreachable(options)
  }
}
