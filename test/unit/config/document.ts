/** A valid main configuration, for tests to break one member of. */
import { decodeConfig } from '../../../src/config/load-config.ts'
import { ConfigurationError } from '../../../src/registry/strict-document.ts'

// biome-ignore lint/suspicious/noExplicitAny: a test breaks any member of the document, also in ways types forbid.
export type Raw = any

export function validConfig(): Raw {
  return {
    issuer: 'https://errand.example',
    listen: { port: 8080 },
    environment: 'production',
    store: { kind: 'embedded', directory: './data' },
    keys: { directory: './keys' },
  }
}

export function configAfter(change: (document: Raw) => void) {
  const document = validConfig()
  change(document)
  return decodeConfig(document, 'errand.yaml', '/etc/errand')
}

export function problemsAfter(change: (document: Raw) => void): readonly string[] {
  return problemsOf(() => configAfter(change))
}

export function problemsOf(attempt: () => unknown): readonly string[] {
  try {
    attempt()
  } catch (fault) {
    if (fault instanceof ConfigurationError) return fault.problems
    throw fault
  }
  throw new Error('nothing was wrong')
}
