/**
 * Files beside the broker that take part in asking others: keys, authorities, its own credential. Read anew each time, as
 * whoever provides them renews them in place.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { codeOf } from '../kernel/fault.ts'
import { JWKS_BYTES_MAX } from '../kernel/limits.ts'
import { Secret } from '../kernel/secret.ts'

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws Error in plain words, never with what is in the file */
export async function readLocalText(path: string): Promise<string> {
  // Non-blocking: a named pipe must not hold whoever opens it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((fault: unknown) => {
    throw new Error(`${path} cannot be read (${codeOf(fault)})`, { cause: fault })
  })
  try {
    const about = await file.stat()
    if (!about.isFile()) throw new Error('not a regular file')
    if (about.size > JWKS_BYTES_MAX) throw new Error(`a file is larger than ${JWKS_BYTES_MAX} bytes`)
    return UTF8.decode(await file.readFile())
  } finally {
    await file.close()
  }
}

/** The value of `Authorization`, from a file that holds a bearer token and nothing else. */
export async function readBearer(path: string): Promise<Secret> {
  const credential = (await readLocalText(path)).trim()
  // Whatever else stands in the file must not become part of a header.
  if (!/^[\x21-\x7e]+$/.test(credential)) throw new Error('the credential file does not hold a bearer token')
  return new Secret(`Bearer ${credential}`)
}
