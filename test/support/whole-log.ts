/** The audit log of a store, read piece by piece and held against itself: whatever is not as it must be fails the test. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { expect } from 'vitest'
import { decodeContents, decodeRecords, type LoggedRecord } from '../../src/audit/log/bodies.ts'
import { columnRows, columnsOf, DIMENSIONS } from '../../src/audit/log/columns.ts'
import { type LogHead, parseHead } from '../../src/audit/log/head.ts'
import {
  bundleOf,
  CHUNK_RECORDS,
  chunkOf,
  columnPiece,
  contentsPiece,
  recordsPiece,
  tilePiece,
  tilesOf,
} from '../../src/audit/log/layout.ts'
import { CHECKPOINT_DOCUMENT } from '../../src/audit/log/log-documents.ts'
import type { LogSigner } from '../../src/keys/log-key.ts'
import type { AuditRecord } from '../../src/model/audit-record.ts'
import type { Store } from '../../src/store/ports.ts'
import { openCheckpoint } from '../../src/tlog/checkpoint.ts'
import { Frontier } from '../../src/tlog/frontier.ts'
import { leafHash } from '../../src/tlog/hashes.ts'
import { signNote } from '../../src/tlog/note.ts'
import { noteKey } from '../../src/tlog/note-keys.ts'
import { consistencyProof, verifyConsistency } from '../../src/tlog/proofs.ts'
import { saltedEntry } from '../../src/tlog/salted-entry.ts'
import { TiledTree } from '../../src/tlog/subtrees.ts'
import { parseEntries } from '../../src/tlog/tiles.ts'

type Logged = Pick<Store, 'log' | 'documents'>

/** In memory; a key of the same PEM signs in another process. */
export function testSigner(pem?: string, origin = 'errand.example/audit'): LogSigner & { readonly pem: string } {
  const text = pem ?? (generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string)
  const privateKey = createPrivateKey(text)
  const key = noteKey(origin, 'log', privateKey)
  return { key, pem: text, sign: (note) => signNote(note, key, privateKey) }
}

export interface WholeLog {
  readonly head: LogHead
  readonly records: readonly LoggedRecord[]
  /** Size of the published checkpoint; 0: there is none. */
  readonly signed: number
}

/** Every record there is, after everything that can be checked was. */
export async function wholeLog(store: Logged, signer?: LogSigner): Promise<WholeLog> {
  const head = parseHead(await store.log.head())
  const records = await recordsOf(store, head)
  expect(records).toHaveLength(head.size)
  expectOrder(records)
  await expectTree(store, head, records)
  await expectColumns(store, records)
  return { head, records, signed: signer === undefined ? 0 : await expectSigned(store, head, signer) }
}

async function recordsOf({ log }: Logged, { size }: LogHead): Promise<readonly LoggedRecord[]> {
  const records: LoggedRecord[] = []
  for (let bundle = 0; bundle <= bundleOf(Math.max(0, size - 1)); bundle++) {
    const [piece] = await log.read([recordsPiece(bundle)])
    if (piece !== undefined) records.push(...decodeRecords(piece))
  }
  return records
}

/** Each once, and those of one outbox in its order. */
function expectOrder(records: readonly LoggedRecord[]): void {
  expect(new Set(records.map(({ outbox, position }) => `${outbox} ${position}`)).size).toBe(records.length)
  const last = new Map<string, string>()
  for (const { outbox, position } of records) {
    expect(position > (last.get(outbox) ?? '')).toBe(true)
    last.set(outbox, position)
  }
}

async function expectTree({ log }: Logged, head: LogHead, records: readonly LoggedRecord[]): Promise<void> {
  const tree = Frontier.empty()
  const entries: Buffer[] = []
  for (const { salt, text } of records) {
    const entry = saltedEntry(salt, text)
    entries.push(entry)
    tree.add(leafHash(entry))
  }
  expect(tree.root().toString('hex')).toBe(head.root.toString('hex'))
  expect((await new TiledTree(head.size, tilesOf(log)).root()).toString('hex')).toBe(head.root.toString('hex'))
  for (let bundle = 0; bundle * 256 < head.size; bundle++) {
    const [piece = Buffer.alloc(0)] = await log.read([tilePiece('entries', bundle)])
    const found = parseEntries(piece)
    expect(found.whole).toBe(true)
    expect(Buffer.concat(found.entries).equals(Buffer.concat(entries.slice(bundle * 256, (bundle + 1) * 256)))).toBe(
      true,
    )
  }
}

async function expectColumns({ log }: Logged, records: readonly LoggedRecord[]): Promise<void> {
  const expected = new Map<string, Buffer[]>()
  for (const [index, { text }] of records.entries()) {
    if (!text.startsWith('{')) continue
    for (const [dimension, values] of columnsOf(JSON.parse(text) as AuditRecord)) {
      const name = columnPiece(dimension, chunkOf(index))
      expected.set(name, [...(expected.get(name) ?? []), columnRows(values, index % CHUNK_RECORDS)])
    }
  }
  for (let chunk = 0; chunk * CHUNK_RECORDS < records.length; chunk++) {
    for (const dimension of DIMENSIONS) {
      const name = columnPiece(dimension, chunk)
      const [piece = Buffer.alloc(0)] = await log.read([name])
      expect([name, piece.equals(Buffer.concat(expected.get(name) ?? []))]).toEqual([name, true])
    }
    const [times] = await log.read([columnPiece('at', chunk)])
    expect(times).toHaveLength(6 * Math.min(CHUNK_RECORDS, records.length - chunk * CHUNK_RECORDS))
  }
}

/** The published checkpoint is of the log: a beginning of it. */
async function expectSigned({ log, documents }: Logged, head: LogHead, signer: LogSigner): Promise<number> {
  const note = await documents.read(CHECKPOINT_DOCUMENT)
  if (note === undefined) return 0
  const { checkpoint } = await openCheckpoint(note, [signer.key])
  const proof = await consistencyProof(checkpoint.size, head.size, tilesOf(log))
  expect(verifyConsistency(checkpoint, head, proof)).toBe(true)
  return checkpoint.size
}

/** All texts of all bundles, by digest. */
export async function contentsOfLog({ log }: Pick<Store, 'log'>): Promise<ReadonlyMap<string, string>> {
  const { size } = parseHead(await log.head())
  const all = new Map<string, string>()
  for (let bundle = 0; bundle * 256 < size; bundle++) {
    const [piece] = await log.read([contentsPiece(bundle)])
    if (piece !== undefined) for (const [digest, text] of decodeContents(piece)) all.set(digest, text)
  }
  return all
}
