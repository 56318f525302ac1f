/**
 * Files that hold one private key each: read only where they are their owner's alone, written complete or not at all.
 *
 * Does not validate: what is in them; that is `key-file.ts`.
 */
import { constants } from 'node:fs'
import { link, open, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../kernel/fault.ts'
import { newNonce } from '../kernel/ids.ts'
import { KeyFileError } from './key-file.ts'

/** A key file holds one key: an RSA key of 2048 bits takes 2 KB. */
const FILE_BYTES_MAX = 16 * 1024
/** Bits others may not have: the key is the broker's alone. */
const OTHERS = 0o077

export async function listDirectory(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    throw new KeyFileError(`the key directory ${directory} cannot be read (${codeOf(error)})`)
  }
}

/**
 * Permissions are read from the open file, so that the file checked is the file used.
 * @returns `undefined` for a file that has gone since it was listed: its key was killed in that moment.
 */
export async function readPrivate(directory: string, name: string): Promise<string | undefined> {
  // Non-blocking: a named pipe must not hang the start.
  const file = await open(join(directory, name), constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    const { mode, size } = await file.stat()
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new KeyFileError(`${name}: not a regular file`)
    if ((mode & OTHERS) !== 0) {
      const found = (mode & 0o777).toString(8).padStart(3, '0')
      throw new KeyFileError(`${name}: mode ${found} lets others at a private key; run chmod 600 on it`)
    }
    if (size > FILE_BYTES_MAX) throw new KeyFileError(`${name}: larger than ${FILE_BYTES_MAX} bytes`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** Complete or absent, also after a crash; never over an existing file. */
export async function writePrivate(directory: string, name: string, text: string): Promise<void> {
  const temporary = join(directory, `.${newNonce()}.tmp`)
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
    await file.close()
    await link(temporary, join(directory, name))
  } finally {
    await file.close().catch(() => undefined)
    await unlink(temporary)
  }
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
