/** A policy that nobody has published, as its author has sent it. */
import { MISSING_LINES_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Registry } from '../../model/registry.ts'
import { decodeRegistryDocuments } from '../../registry/load-registry.ts'
import { ConfigurationError } from '../../registry/strict-document.ts'

/** @throws Rejection `body_malformed` naming every problem there is room for */
export function decodeDraft(
  files: readonly { readonly name: string; readonly document?: unknown }[],
  issuer: string,
): Registry {
  try {
    const documents = files.map(({ name, document }) => ({ document, sourceName: name }))
    return decodeRegistryDocuments(documents, { issuer })
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    const missing = error.problems.slice(0, MISSING_LINES_MAX)
    throw new Rejection('body_malformed', 'the draft is no policy', { missing })
  }
}
