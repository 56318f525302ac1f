/** The demo's broker: the real one, on the embedded store, answering on a server that listens already. */
import type { Server } from 'node:http'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { createBroker } from '../../app.ts'
import { developmentConfig } from '../../config/development.ts'
import { parseYamlText } from '../../registry/strict-document.ts'

export interface Listening {
  readonly server: Server
  readonly origin: string
}

/**
 * @param directory for its state and keys
 * @param policy the registry document
 * @returns how to stop it
 */
export async function startBroker(
  { server, origin }: Listening,
  directory: string,
  policy: string,
): Promise<() => Promise<void>> {
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
  return broker.close
}
