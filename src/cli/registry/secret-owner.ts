/** Whose secret or API key a command makes, and where its text may go. */
import type { Config } from '../../config/config.ts'
import { loadRegistryFiles } from '../../config/load-config.ts'
import type { Client } from '../../model/client.ts'
import type { Args } from '../args.ts'
import { UsageError } from '../failures.ts'
import { programName } from '../invocation.ts'
import type { Io } from '../io.ts'

/** The file of `--out`; `undefined`: the terminal. @throws UsageError where it would be neither */
export function secretDestination(args: Args, io: Io): string | undefined {
  const out = args.text('out')
  if (out === undefined && (!io.outIsTerminal || args.flag('json'))) {
    throw new UsageError('--out FILE is needed: a secret is printed to a terminal only, never into a pipe or a log')
  }
  return out
}

/** The edited file must hold the client; whether it does is said with that file's name. @throws ConfigurationError */
export function knownClient(config: Config, clientId: string): Client {
  const client = loadRegistryFiles(config).client(clientId)
  if (client !== undefined) return client
  throw new UsageError(`no client is named ${clientId}: ${programName()} agent add makes one`)
}

/** @throws UsageError */
export function soleVersion({ clientId, keys, keySets, secrets }: Client): string {
  const versions = new Set([...keys, ...keySets, ...secrets].map(({ version }) => version))
  const [only, ...others] = versions
  if (only !== undefined && others.length === 0) return only
  const found = only === undefined ? 'has no credential yet' : `has the versions ${[...versions].join(', ')}`
  throw new UsageError(`${clientId} ${found}: say which one the secret is for, with --version`)
}
