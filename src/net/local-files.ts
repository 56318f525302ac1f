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
export function readLocalText(path: string): Promise<string> {
  return readText(path, false)
}

/** One that everybody on the machine may read is none. @throws Error as above */
export function readLocalSecret(path: string): Promise<string> {
  return readText(path, true)
}

async function readText(path: string, isSecret: boolean): Promise<string> {
  // Non-blocking: a named pipe must not hold whoever opens it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((fault: unknown) => {
    throw new Error(`${path} cannot be read (${codeOf(fault)})`, { cause: fault })
  })
  try {
    const about = await file.stat()
    if (!about.isFile()) throw new Error('not a regular file')
    if (about.size > JWKS_BYTES_MAX) throw new Error(`a file is larger than ${JWKS_BYTES_MAX} bytes`)
    if (isSecret && (about.mode & 0o007) !== 0) throw new Error(`everybody may read ${path}: run chmod 600 on it`)
    return UTF8.decode(await file.readFile())
  } finally {
    await file.close()
  }
}

/** One `Name: value` a line. */
const HEADER_LINE = /^([A-Za-z0-9-]{1,64}):[ \t]*([\x21-\x7e][\x20-\x7e]{0,4095})$/
/** What is said of a request, and is not another's to say. */
const OWN_HEADERS = new Set([
  'content-type',
  'content-length',
  'host',
  'connection',
  'transfer-encoding',
  'traceparent',
])

/** Headers of its own that a receiver asks for: keys, tenants. `undefined`: none. @throws Error as above */
export async function readHeaders(path: string | undefined): Promise<Readonly<Record<string, string>>> {
  if (path === undefined) return {}
  const lines = (await readLocalSecret(path)).split('\n').map((line) => line.trim())
  const headers: Record<string, string> = {}
  for (const line of lines.filter((one) => one !== '' && !one.startsWith('#'))) {
    const [, name, value] = HEADER_LINE.exec(line) ?? []
    const key = name?.toLowerCase() ?? ''
    if (value === undefined || OWN_HEADERS.has(key)) throw new Error('a line of the headers file is not NAME: VALUE')
    headers[key] = value.trimEnd()
  }
  return headers
}

/** The value of `Authorization`, from a file that holds a bearer token and nothing else. */
export async function readBearer(path: string): Promise<Secret> {
  const credential = (await readLocalText(path)).trim()
  // Whatever else stands in the file must not become part of a header.
  if (!/^[\x21-\x7e]+$/.test(credential)) throw new Error('the credential file does not hold a bearer token')
  return new Secret(`Bearer ${credential}`)
}
