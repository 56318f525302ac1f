/**
 * Bodies of the log: the records themselves, 256 to a bundle, and beside them the texts that they name by digest, each once per
 * bundle. What is appended to a bundle is one frame more; a full one is written anew as a single compressed frame.
 *
 * Frame: kind (0 plain, 1 deflated, 2 Zstandard), u32 length, so many bytes of rows. Row of a record: salt, then outbox, position and text,
 * each behind its length as u32; row of a text: digest and text, likewise. Integers are big-endian.
 */
import zlib from 'node:zlib'
import { utf8BytesMax } from '../../kernel/utf8.ts'
import { SALT_BYTES } from '../../tlog/salted-entry.ts'
import { Compressor, newDeflate, newZstandard } from './compressor.ts'
import { DamagedLog } from './damaged-log.ts'
import type { GrowingRows } from './growing-rows.ts'

export interface LoggedRecord {
  readonly salt: Buffer
  /** Where the record came from, and its place there: no two of the log have both in common. */
  readonly outbox: string
  readonly position: string
  readonly text: string
}

const HEADER_BYTES = 5
const LENGTH_BYTES = 4
const NO_SALT = Buffer.alloc(0)
const PLAIN = 0
const DEFLATED = 1
const ZSTANDARD = 2
/** Uncompressed bytes of one frame: an append is smaller. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024
const compressor = new Compressor(newZstandard ?? newDeflate)
const COMPRESSED = newZstandard === undefined ? DEFLATED : ZSTANDARD

/** @returns its text in UTF-8, as long as nothing else is added */
export function addRecordRow(rows: GrowingRows, { salt, outbox, position, text }: LoggedRecord): Buffer {
  const texts = [outbox, position, text]
  let bytesMax = salt.length
  for (const one of texts) bytesMax += LENGTH_BYTES + utf8BytesMax(one)
  return lastText(
    rows.addWritten(bytesMax, (bytes, at) => writeRow(bytes, at, salt, texts)),
    salt.length,
  )
}

export function contentRow(digest: string, text: string): Buffer {
  const bytes = Buffer.allocUnsafe(2 * LENGTH_BYTES + Buffer.byteLength(digest) + Buffer.byteLength(text))
  writeRow(bytes, 0, NO_SALT, [digest, text])
  return bytes
}

/** @returns where it ends */
function writeRow(bytes: Buffer, begin: number, first: Buffer, texts: readonly string[]): number {
  let at = begin + first.copy(bytes, begin)
  for (const text of texts) {
    const written = bytes.write(text, at + LENGTH_BYTES)
    at = bytes.writeUInt32BE(written, at) + written
  }
  return at
}

/** @param begin of the first text */
function lastText(whole: Buffer, begin: number): Buffer {
  for (let at = begin; ; ) {
    const [start, length] = [at + LENGTH_BYTES, whole.readUInt32BE(at)]
    at = start + length
    if (at === whole.length) return whole.subarray(start)
  }
}

export function plainFrame(rows: readonly Buffer[]): Buffer {
  return frame(PLAIN, rows)
}

export async function compressedFrame(rows: readonly Buffer[]): Promise<Buffer> {
  const [only] = rows
  const whole = rows.length === 1 && only !== undefined ? only : Buffer.concat(rows)
  return frame(COMPRESSED, await compressor.compressed(whole))
}

function frame(kind: number, rows: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt8(kind)
  header.writeUInt32BE(
    rows.reduce((sum, { length }) => sum + length, 0),
    1,
  )
  return Buffer.concat([header, ...rows])
}

/** The records of a bundle, in order. @throws DamagedLog */
export function decodeRecords(piece: Buffer): readonly LoggedRecord[] {
  const rows = new Rows(rowsOf(piece))
  const records: LoggedRecord[] = []
  while (!rows.isDone) {
    records.push({ salt: rows.bytes(SALT_BYTES), outbox: rows.text(), position: rows.text(), text: rows.text() })
  }
  return records
}

/** The texts of a bundle, by digest. @throws DamagedLog */
export function decodeContents(piece: Buffer): ReadonlyMap<string, string> {
  const rows = new Rows(rowsOf(piece))
  const contents = new Map<string, string>()
  while (!rows.isDone) contents.set(rows.text(), rows.text())
  return contents
}

/** All rows of a piece, uncompressed. @throws DamagedLog */
export function rowsOf(piece: Buffer): Buffer {
  const frames: Buffer[] = []
  for (let at = 0; at < piece.length; ) {
    const end = at + HEADER_BYTES + (at + HEADER_BYTES > piece.length ? 0 : piece.readUInt32BE(at + 1))
    if (end > piece.length) throw new DamagedLog('a bundle of the audit log is cut short')
    frames.push(unframed(piece.readUInt8(at), piece.subarray(at + HEADER_BYTES, end)))
    at = end
  }
  return frames.length === 1 && frames[0] !== undefined ? frames[0] : Buffer.concat(frames)
}

function unframed(kind: number, bytes: Buffer): Buffer {
  if (kind === PLAIN) return bytes
  const decompress = { [DEFLATED]: zlib.inflateRawSync, [ZSTANDARD]: zlib.zstdDecompressSync }[kind]
  if (decompress === undefined && kind === ZSTANDARD)
    throw new Error('the audit log was written on a later version of Node: read it on Node 22.15 or 24')
  if (decompress === undefined) throw new DamagedLog('a bundle of the audit log has a frame of no known kind')
  try {
    return decompress(bytes, { maxOutputLength: FRAME_BYTES_MAX })
  } catch (error) {
    throw new DamagedLog('a bundle of the audit log cannot be read', error)
  }
}

class Rows {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isDone(): boolean {
    return this.#at >= this.#bytes.length
  }

  bytes(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#bytes.length) throw new DamagedLog('a row of the audit log is cut short')
    const found = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return found
  }

  text(): string {
    const length = this.bytes(LENGTH_BYTES).readUInt32BE()
    return this.bytes(length).toString('utf8')
  }
}
