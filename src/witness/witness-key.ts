/**
 * A witness's name and key. The name is not part of what it signs, so the key is used under one name only: both are made at the
 * first start, and another name is refused from then on (C2SP tlog-cosignature).
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { listDirectory, readPrivate, writePrivate } from '../keys/private-files.ts'
import { NoteError, type NoteKey, noteKey } from '../tlog/note-keys.ts'

const FILE = 'witness.key'

export interface WitnessKey {
  readonly key: NoteKey
  readonly privateKey: KeyObject
}

/** @param name needed at the first start only. @throws NoteError, KeyFileError */
export async function openWitnessKey(directory: string, name: string | undefined): Promise<WitnessKey> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  if (!(await listDirectory(directory)).includes(FILE)) {
    if (name === undefined) throw new NoteError('a new witness needs a name')
    const pem = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
    // The name is in the file, above the key: PEM allows that (RFC 7468 §2).
    await writePrivate(directory, FILE, `name: ${noteKey(name, 'witness', createPrivateKey(pem)).name}\n${pem}`)
  }
  return parseKey((await readPrivate(directory, FILE)) ?? '', name)
}

function parseKey(text: string, name: string | undefined): WitnessKey {
  const [, kept, pem] = /^name: (\S+)\n(-----BEGIN PRIVATE KEY-----[\s\S]*)$/.exec(text) ?? []
  if (kept === undefined || pem === undefined) throw new NoteError(`${FILE} is not a witness’s key`)
  if (name !== undefined && name !== kept) {
    throw new NoteError(`this directory is of the witness ${kept}: another name needs another directory`)
  }
  const privateKey = readKey(pem)
  return { key: noteKey(kept, 'witness', privateKey), privateKey }
}

function readKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new NoteError(`${FILE} is not a witness’s key`)
  }
}
