/** The registry as one immutable version, from the documents that describe it. */
import type { Registry } from '../model/registry.ts'
import { parseYamlText } from './strict-document.ts'

export interface RegistryOptions {
  /** The broker's issuer identifier: its own URLs may not be registered as resources, nor itself as an issuer. */
  readonly issuer: string
  /** Life of access tokens for resources that do not say; DESIGN's default when absent. */
  readonly accessTokenSeconds?: number
}

export interface RegistryDocument {
  /** Decoded YAML or JSON, not yet trusted. */
  readonly document: unknown
  /** What problems are reported under: a file's name. */
  readonly sourceName: string
}

/** One registry from several documents. @throws ConfigurationError naming every problem. */
export function decodeRegistryDocuments(documents: readonly RegistryDocument[], options: RegistryOptions): Registry {
  throw new Error(`not yet: ${documents.length} ${options.issuer}`)
}

/** @throws ConfigurationError naming every problem */
export function decodeRegistry(document: unknown, sourceName: string, options: RegistryOptions): Registry {
  return decodeRegistryDocuments([{ document, sourceName }], options)
}

/** @throws ConfigurationError naming every problem */
export function parseRegistryText(yamlText: string, sourceName: string, options: RegistryOptions): Registry {
  return decodeRegistry(parseYamlText(yamlText, sourceName), sourceName, options)
}
