/**
 * Files that commands write and read. Written whole or not at all, and never over another unless the caller says so;
 * private ones are their owner's only, and are refused where others could have read them.
 */
import { constants } from 'node:fs'
import { type FileHandle, link, mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { codeOf } from '../kernel/fault.ts'
import { newNonce } from '../kernel/ids.ts'
import { CommandFailure, UsageError } from './failures.ts'

const FILE_BYTES_MAX = 64 * 1024
const OTHERS = 0o077

export const PRIVATE = 0o600
export const PUBLIC = 0o644

/** @throws UsageError where there is such a file already */
export function createFile(path: string, text: string, mode: number): Promise<void> {
  return place(path, text, mode, async (temporary) => {
    // Unlike a rename, a link never replaces what is there.
    await link(temporary, path)
    await unlink(temporary)
  })
}

/** Over an older one, which is there until the new one is whole. */
export function replaceFile(path: string, text: string, mode: number): Promise<void> {
  return place(path, text, mode, (temporary) => rename(temporary, path))
}

async function place(
  path: string,
  text: string,
  mode: number,
  move: (temporary: string) => Promise<void>,
): Promise<void> {
  const directory = dirname(path)
  const temporary = join(directory, `.${newNonce()}.tmp`)
  try {
    await mkdir(directory, { recursive: true, mode: mode === PRIVATE ? 0o700 : 0o755 })
    const file = await open(temporary, 'wx', mode)
    try {
      await file.chmod(mode) // the umask may have taken bits
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await move(temporary)
  } catch (fault) {
    await unlink(temporary).catch(() => undefined)
    if (codeOf(fault) === 'EEXIST') throw new UsageError(`${path} exists already, and is left as it is`)
    throw new CommandFailure(`${path} could not be written (${codeOf(fault)})`, fault)
  }
}

/** @throws UsageError where it cannot be read, or others could */
export async function readPrivateFile(path: string): Promise<string> {
  // Non-blocking: a named pipe must not hang the command.
  return opened(path, constants.O_RDONLY | constants.O_NONBLOCK, async (file) => {
    const { mode, size } = await file.stat()
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new UsageError(`${path} is not a regular file`)
    if ((mode & OTHERS) !== 0) {
      const found = (mode & 0o777).toString(8).padStart(3, '0')
      throw new UsageError(`${path}: mode ${found} lets others at what is private; run chmod 600 on it`)
    }
    if (size > FILE_BYTES_MAX) throw tooLarge(path)
    return file.readFile('utf8')
  })
}

/** A file the user names, or a shell's `<(…)`: a token or a document. @throws UsageError */
export async function readNamedFile(path: string): Promise<string> {
  return opened(path, constants.O_RDONLY, async (file) => {
    const { mode, size } = await file.stat()
    if ((mode & constants.S_IFMT) === constants.S_IFDIR) throw new UsageError(`${path} is a directory`)
    if (size > FILE_BYTES_MAX) throw tooLarge(path)
    return file.readFile('utf8')
  })
}

async function opened<T>(path: string, flags: number, read: (file: FileHandle) => Promise<T>): Promise<T> {
  try {
    const file = await open(path, flags)
    try {
      return await read(file)
    } finally {
      await file.close()
    }
  } catch (fault) {
    if (fault instanceof UsageError) throw fault
    throw new UsageError(`${resolve(path)} cannot be read (${codeOf(fault)})`)
  }
}

function tooLarge(path: string): UsageError {
  return new UsageError(`${path} is larger than ${FILE_BYTES_MAX} bytes`)
}
