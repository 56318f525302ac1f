/** A draft of the policy, in files: named on the command line, or those of the configuration as they are on disk now. */
import { resolve } from 'node:path'
import { configPath, loadConfig, loadRegistryFiles } from '../../config/load-config.ts'
import type { Args } from '../args.ts'
import { readPolicyFile } from '../named-document.ts'
import type { OptionSpecs } from '../options.ts'

export const DRAFT_OPTION: OptionSpecs = {
  draft: {
    value: 'FILE',
    help: 'a policy file of the draft, may be repeated (default: those of the configuration, as they are on disk)',
    repeats: true,
  },
}

/** Problems are named here, by file, before anything is sent. @throws ConfigurationError, UsageError */
export function draftFiles(args: Args): readonly { readonly name: string; readonly document: unknown }[] {
  const config = loadConfig(configPath(args.text('config')))
  const drafts = args.all('draft').map((path) => resolve(path))
  const registryPaths = drafts.length === 0 ? config.registryPaths : drafts
  loadRegistryFiles({ ...config, registryPaths })
  return registryPaths.map(readPolicyFile)
}
