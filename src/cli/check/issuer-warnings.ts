/** Introspection credentials that cannot be read now: a broker starts all the same, and cannot ask about opaque tokens. */
import type { Registry } from '../../model/registry.ts'
import { UsageError } from '../failures.ts'
import { readPrivateFile } from '../private-file.ts'

export async function issuerWarnings({ issuers }: Pick<Registry, 'issuers'>): Promise<readonly string[]> {
  const warnings = issuers.map(async ({ slug, introspection }) => {
    const problem = introspection === undefined ? undefined : await problemOf(introspection.credentialFile)
    return problem === undefined ? [] : [`issuer ${slug}: opaque tokens cannot be asked about: ${problem}`]
  })
  return (await Promise.all(warnings)).flat()
}

/** Never quotes the file. */
async function problemOf(path: string): Promise<string | undefined> {
  try {
    return (await readPrivateFile(path)).trim() === '' ? `${path} is empty` : undefined
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
}
