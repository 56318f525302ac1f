/** Reads the main configuration file. The only place that looks at the environment: `ERRAND_CONFIG` names the file. */
import type { Registry } from '../model/registry.ts'
import type { Config } from './config.ts'

/** The path given, else `ERRAND_CONFIG`, else `./errand.yaml`. */
export function configPath(given: string | undefined): string {
  return given ?? process.env['ERRAND_CONFIG'] ?? './errand.yaml'
}

/** @throws ConfigurationError naming every problem */
export function loadConfig(path: string): Config {
  throw new Error(`not yet: ${path}`)
}

/** The registry that `config.registryPaths` describe. @throws ConfigurationError naming every problem */
export function loadRegistryFiles(config: Config): Registry {
  throw new Error(`not yet: ${config.org}`)
}
