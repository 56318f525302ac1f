/**
 * Looks before LMDB leaps. A disk that is full in the middle of a transaction ends it halfway through LMDB's native code, whose
 * handling of that has been seen to corrupt the process's memory: the last megabytes are therefore left alone.
 */
import { closeSync, openSync, readSync, statfsSync } from 'node:fs'

/** More than one transaction of the embedded store ever writes. */
const ROOM_BYTES_MIN = 16 * 1024 * 1024
/** Offset and bytes of LMDB's magic number on the first page. */
const MAGIC_AT = 24
const MAGIC = 'dec0efbe'

/** @throws Error where the disk of this directory is nearly full */
export function assertRoom(directory: string): void {
  const { bavail, bsize } = statfsSync(directory)
  if (bavail * bsize < ROOM_BYTES_MIN) throw new Error(`less than ${ROOM_BYTES_MIN} bytes are free on its disk`)
}

/** A damaged file would end the process inside LMDB, without a word. @throws Error for a file that is not LMDB's */
export function assertDatabase(path: string): void {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return // there is none yet
  }
  try {
    const head = Buffer.alloc(MAGIC_AT + 4)
    const read = readSync(file, head, 0, head.length, 0)
    if (read === 0 || head.toString('hex', MAGIC_AT) === MAGIC) return
    throw new Error(`${path} is damaged or not a database: restore it from a backup`)
  } finally {
    closeSync(file)
  }
}
