/** A policy that nobody has published, as its author has sent it: files in place of those published, what was written over the API beside them. */
import { MISSING_LINES_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { LoadedPolicy } from '../../registry/publication/policy-library.ts'
import { ConfigurationError } from '../../registry/strict-document.ts'
import type { RegistryPublisher } from '../publication/publish.ts'

/** @throws Rejection `body_malformed` naming every problem there is room for */
export async function decodeDraft(
  files: readonly { readonly name: string; readonly document?: unknown }[],
  publisher: Pick<RegistryPublisher, 'draft'>,
): Promise<LoadedPolicy> {
  try {
    return await publisher.draft(files.map(({ name, document }) => ({ name, document })))
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    const missing = error.problems.slice(0, MISSING_LINES_MAX)
    throw new Rejection('body_malformed', 'the draft is no policy', { missing })
  }
}
