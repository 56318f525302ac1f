/**
 * Directories for the brokers of tests: in memory where there is room, so that no test waits for, or fails with, the disk of a
 * machine that does other things as well. What a process has written outlives its SIGKILL there as it does on a disk. The
 * contract of the stores is kept on a real one.
 */
import { accessSync, constants, mkdtempSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MEMORY = '/dev/shm'
const ROOM_BYTES_MIN = 2 ** 30

/** Where a run of all tests has its own; it goes with the run. */
export const SCRATCH = 'ERRAND_TEST_SCRATCH'

const place = (() => {
  const given = process.env[SCRATCH]
  if (given !== undefined) return given
  try {
    accessSync(MEMORY, constants.W_OK)
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize >= ROOM_BYTES_MIN ? MEMORY : tmpdir()
  } catch {
    return tmpdir()
  }
})()

/** @param prefix of its name */
export const scratchDirectory = (prefix: string): string => mkdtempSync(join(place, prefix))
