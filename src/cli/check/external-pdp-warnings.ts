/** Files of the external PDP that cannot be read now: a broker starts all the same, and allows nothing. */
import type { Config } from '../../config/config.ts'
import { readBearer, readLocalText } from '../../net/local-files.ts'

export async function externalPdpWarnings({ externalPdp }: Pick<Config, 'externalPdp'>): Promise<readonly string[]> {
  if (externalPdp === undefined) return []
  const { credentialFile, caFile } = externalPdp
  const problems = await Promise.all([
    credentialFile === undefined ? undefined : problemOf(readBearer(credentialFile)),
    caFile === undefined ? undefined : problemOf(readLocalText(caFile)),
  ])
  return problems.flatMap((problem) => problem ?? []).map((problem) => `external_pdp: it allows nothing: ${problem}`)
}

/** In plain words, never with what is in the file. */
async function problemOf(reading: Promise<unknown>): Promise<string | undefined> {
  try {
    await reading
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : 'a file cannot be read'
  }
}
