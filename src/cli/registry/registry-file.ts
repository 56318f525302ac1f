/**
 * A registry file that a command adds a client or a secret to. Nothing is written unless the whole registry is still right
 * with it, and nothing is left of a private key or secret where the registry could not be written.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import type { Config } from '../../config/config.ts'
import { codeOf } from '../../kernel/fault.ts'
import type { Secret } from '../../kernel/secret.ts'
import { decodeRegistryDocuments } from '../../registry/load-registry.ts'
import { parseYamlText } from '../../registry/strict-document.ts'
import type { Args } from '../args.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import type { OptionSpecs } from '../options.ts'
import { createFile, PRIVATE, replaceFile } from '../private-file.ts'

export const REGISTRY_OPTION: OptionSpecs = {
  registry: { value: 'FILE', help: 'which registry file, where the configuration names several' },
}

/** @throws UsageError where the file is not the configuration's, or cannot be known */
export function chosenRegistry({ registryPaths }: Config, args: Args): string {
  const given = args.text('registry')
  if (given === undefined) {
    const [only, ...others] = registryPaths
    if (only !== undefined && others.length === 0) return realPath(only)
    throw new UsageError(
      `the configuration names several registry files: choose one with --registry (${registryPaths.join(', ')})`,
    )
  }
  const path = registryPaths.find((one) => resolve(given) === one)
  if (path !== undefined) return realPath(path)
  throw new UsageError(`--registry ${given} is none of the configuration's: ${registryPaths.join(', ')}`)
}

/** What a link leads to: replacing the link itself would cut it. @throws UsageError */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch (fault) {
    throw new UsageError(`${path} cannot be read (${codeOf(fault)})`)
  }
}

interface Registration {
  readonly registryFile: string
  /** What goes into a private file of its own; nothing is left of it where the registry could not be written. */
  readonly file: { readonly path: string; readonly text: Secret } | undefined
}

/** @throws ConfigurationError, UsageError, CommandFailure */
export async function registerClient(
  config: Config,
  { registryFile, file }: Registration,
  edit: (text: string) => string,
): Promise<void> {
  const text = readFileSync(registryFile, 'utf8')
  const edited = edit(text)
  assertStillRight(config, registryFile, edited)
  if (file !== undefined) await createFile(file.path, file.text.reveal(), PRIVATE)
  try {
    if (readFileSync(registryFile, 'utf8') !== text)
      throw new CommandFailure(`${registryFile} was changed meanwhile; try again`)
    await replaceFile(registryFile, edited, statSync(registryFile).mode & 0o777)
  } catch (fault) {
    if (file !== undefined) await unlink(file.path)
    throw fault
  }
}

/** The whole registry, with the edited file in the place of the old one. @throws ConfigurationError */
function assertStillRight(config: Config, registryFile: string, edited: string): void {
  const documents = config.registryPaths.map((path) => {
    const text = realPath(path) === registryFile ? edited : readFileSync(path, 'utf8')
    return { document: parseYamlText(text, basename(path)), sourceName: basename(path) }
  })
  const { issuer, accessTokenSeconds } = config.settings
  decodeRegistryDocuments(documents, { issuer, accessTokenSeconds })
}
