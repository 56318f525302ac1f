/** Which store a broker of a test has: as JSON that a process is told, and as the configuration a broker starts with. */
import type { StoreConfig } from '../../src/config/config.ts'
import { Secret } from '../../src/kernel/secret.ts'
import type { RedisServers } from '../../src/store/redis-servers.ts'

export type StoreOrder =
  | { readonly kind: 'embedded'; readonly directory: string }
  | ({ readonly kind: 'redis' } & RedisServers<string>)

/** What may hold a password is a secret. */
export function storeConfig(order: StoreOrder): StoreConfig {
  if (order.kind === 'embedded' || 'sentinel' in order) return order
  return 'url' in order
    ? { ...order, url: new Secret(order.url) }
    : { ...order, cluster: order.cluster.map((url) => new Secret(url)) }
}
