/** The demo's broker: the real one, on the embedded store, answering on a server that listens already. */
import type { Server } from 'node:http'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { createBroker } from '../../app.ts'
import { developmentConfig } from '../../config/development.ts'
import { MANAGEMENT_TOKEN_LIFETIME_S } from '../../kernel/limits.ts'
import { parseYamlText } from '../../registry/strict-document.ts'
import { mintManagement } from '../operator.ts'

export interface Listening {
  readonly server: Server
  readonly origin: string
}

export interface RunningBroker {
  stop(): Promise<void>
  /** Of a reviewer, made as on the broker's own machine. */
  reviewerToken(): Promise<string>
}

/**
 * @param directory for its state and keys
 * @param policy the registry document
 */
export async function startBroker(
  { server, origin }: Listening,
  directory: string,
  policy: string,
): Promise<RunningBroker> {
  const config = developmentConfig({
    port: Number(new URL(origin).port),
    store: { kind: 'embedded', directory: join(directory, 'state') },
    keysDirectory: join(directory, 'keys'),
    logLevel: 'error',
  })
  const document = parseYamlText(policy, 'registry.yaml')
  const broker = await createBroker(config, { documents: [{ document, sourceName: 'registry.yaml' }] })
  const listener = getRequestListener(broker.app.fetch)
  server.on('request', (request, response) => void listener(request, response))
  const reviewer = { name: 'reviewer', roles: ['security'], seconds: MANAGEMENT_TOKEN_LIFETIME_S } as const
  return {
    stop: broker.close,
    reviewerToken: async () => (await mintManagement(config, reviewer)).reveal(),
  }
}
