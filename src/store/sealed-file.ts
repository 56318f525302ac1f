/**
 * A file that ends in its own digest: one that was cut short or changed on its way is known before anything reads it. A
 * database that is not whole can crash the process that opens it.
 */
import { createHash } from 'node:crypto'
import { appendFileSync, closeSync, fsyncSync, openSync, readSync, statSync, truncateSync } from 'node:fs'

const CHUNK_BYTES = 1024 * 1024
const SEAL = /^\nerrand-backup sha256 [0-9a-f]{64}\n$/
const SEAL_BYTES = '\nerrand-backup sha256 \n'.length + 64

export function seal(path: string): void {
  appendFileSync(path, sealOf(digestOf(path, statSync(path).size)))
  sync(path)
}

/** Whether it is whole; then it is as it was before it was sealed. */
export function unseal(path: string): boolean {
  const bytes = statSync(path).size - SEAL_BYTES
  if (bytes < 0) return false
  const found = textAt(path, bytes)
  if (!SEAL.test(found) || found !== sealOf(digestOf(path, bytes))) return false
  truncateSync(path, bytes)
  sync(path)
  return true
}

/** On disk, also after a loss of power: a file, or the names in a directory. */
export function sync(path: string): void {
  withFile(path, fsyncSync)
}

function sealOf(digest: string): string {
  return `\nerrand-backup sha256 ${digest}\n`
}

function textAt(path: string, from: number): string {
  const buffer = Buffer.alloc(SEAL_BYTES)
  withFile(path, (file) => readSync(file, buffer, 0, SEAL_BYTES, from))
  return buffer.toString('latin1')
}

function digestOf(path: string, bytes: number): string {
  const hash = createHash('sha256')
  const chunk = Buffer.alloc(CHUNK_BYTES)
  withFile(path, (file) => {
    for (let at = 0; at < bytes; ) {
      const read = readSync(file, chunk, 0, Math.min(CHUNK_BYTES, bytes - at), at)
      if (read === 0) break
      hash.update(chunk.subarray(0, read))
      at += read
    }
  })
  return hash.digest('hex')
}

function withFile<T>(path: string, use: (file: number) => T): T {
  const file = openSync(path, 'r')
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}
