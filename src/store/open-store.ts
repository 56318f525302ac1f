/** Opens the store a configuration names. What comes back has answered once: a broker never starts on a store it cannot reach. */
import { unreachable } from '../kernel/rejection.ts'
import { type EmbeddedOptions, openEmbeddedStore } from './embedded-store.ts'
import type { Store } from './ports.ts'

export type StoreOptions = { readonly kind: 'embedded' } & EmbeddedOptions

/** @throws StoreUnavailable with a text an operator can act on. */
export async function openStore(options: StoreOptions): Promise<Store> {
  switch (options.kind) {
    case 'embedded':
      return openEmbeddedStore(options)
    default:
      return unreachable(options.kind)
  }
}
