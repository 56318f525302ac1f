/**
 * The registry as it is published now. It is replaced as a whole while requests run: whoever answers one takes `current` once,
 * at its beginning, so that one request is judged by one version from its client's authentication to its decision.
 */
import type { Registry } from './registry.ts'

export interface RegistrySource {
  readonly current: Registry
}
