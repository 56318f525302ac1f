/** Tokens that commands are given: from a file or a pipe, never from a command line. */
import { TOKEN_CHARS_MAX } from '../kernel/limits.ts'
import { Secret } from '../kernel/secret.ts'
import { UsageError } from './failures.ts'
import type { Io } from './io.ts'
import { readNamedFile } from './private-file.ts'

/** @param path `-`: what is piped in. @throws UsageError */
export async function readToken(path: string, io: Io): Promise<Secret> {
  const text = (path === '-' ? await io.readAll(TOKEN_CHARS_MAX + 2) : await readNamedFile(path)).trim()
  if (text === '') throw new UsageError(path === '-' ? 'no token was piped in' : `${path} is empty`)
  return new Secret(text)
}
