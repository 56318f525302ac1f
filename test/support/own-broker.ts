/** A broker's directory as an operator has it, for tests that run the real command: configuration, registry, no keys yet. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'

export interface OwnBroker {
  readonly directory: string
  readonly configFile: string
}

/** @param over merged over a production configuration on a free port of loopback. */
export function writeOwnBroker(over: Readonly<Record<string, unknown>>, registry: unknown = {}): OwnBroker {
  const directory = mkdtempSync(join(tmpdir(), 'errand-own-'))
  const configFile = join(directory, 'errand.yaml')
  const document = {
    issuer: 'https://errand.example',
    environment: 'production',
    store: { kind: 'embedded', directory: './data' },
    keys: { directory: './keys' },
    ...over,
  }
  writeFileSync(configFile, stringify(document))
  writeFileSync(join(directory, 'registry.yaml'), stringify(registry))
  return { directory, configFile }
}
