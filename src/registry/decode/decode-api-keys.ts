/** The API keys of an agent's entry; that their resources exist is for `cross-checks.ts`. */

import { API_KEY_LIFETIME_S_MAX } from '../../kernel/credential-limits.ts'
import type { ResourceUrl } from '../../kernel/ids.ts'
import type { ApiKey } from '../../model/client.ts'
import { scopeSet } from '../../protocol/scope.ts'
import type { ApiKeyEntry } from '../entries/api-key-entry.ts'
import { decodeSecrets } from './decode-client.ts'

/** `urls`: registered resources by id. */
export function decodeApiKeys(
  entries: readonly ApiKeyEntry[],
  path: string,
  urls: ReadonlyMap<string, ResourceUrl>,
  problems: string[],
): readonly ApiKey[] {
  const secrets = decodeSecrets(entries, path, API_KEY_LIFETIME_S_MAX, problems)
  return secrets.map((secret, index) => {
    const { resources = [], scopes = [] } = entries[index] ?? {}
    return {
      ...secret,
      confinement: { resources: new Set(resources.flatMap((id) => urls.get(id) ?? [])), scopes: scopeSet(scopes) },
    }
  })
}
