/** Errand under test: the broker as `createBroker` wires it, its real listener, full policy and audit, either store. */
import { createBroker } from '../../../src/app.ts'
import { developmentConfig } from '../../../src/config/development.ts'
import { sizeThreadPool } from '../../../src/config/environment.ts'
import { type Listening, listen } from '../../../src/http/listener.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { answerCalls } from '../rpc.ts'
import { usageHandlers } from '../usage.ts'

export interface ErrandOrder {
  readonly issuer: string
  readonly org: string
  readonly store:
    | { readonly kind: 'embedded'; readonly directory: string }
    | { readonly kind: 'redis'; readonly url: string }
  readonly keysDirectory: string
  /** The registry document, not decoded. */
  readonly registry: unknown
}

let listening: Listening | undefined
// As the command does.
sizeThreadPool()

answerCalls({
  ...usageHandlers(),
  start: async ({ issuer, org, store, keysDirectory, registry }: ErrandOrder): Promise<{ port: number }> => {
    const base = developmentConfig({
      port: 0,
      store: store.kind === 'redis' ? { kind: 'redis', url: new Secret(store.url) } : store,
      keysDirectory,
      logLevel: 'warn',
    })
    const config = { ...base, org, settings: { ...base.settings, issuer } }
    const broker = await createBroker(config, { documents: [{ document: registry, sourceName: 'bench.yaml' }] })
    listening = await listen(broker, { host: '127.0.0.1', port: 0 })
    return { port: listening.port }
  },
  /** As on SIGTERM: what is counted is written. */
  finish: () => listening?.stop(),
})
