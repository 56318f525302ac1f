/**
 * A copy of the embedded store, and a store made of one.
 *
 * A backup is one consistent reading, taken while the broker runs; it appears whole, synced, readable by its owner, or not at
 * all, and ends in its digest. What was revoked after it is not in it, and what was used once after it may be used again: so a restored store is a new
 * epoch in which everything issued before is dead. Revocations and blocks that are in it stand; the audit is kept, its outbox and its log of one moment.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { open } from 'lmdb'
import { EVERYTHING } from '../authority/dimensions.ts'
import type { Clock } from '../kernel/clock.ts'
import { newNonce } from '../kernel/ids.ts'
import { CUTOFF_LIFETIME_S } from '../kernel/limits.ts'
import { checkedOrg, SCHEMA_VERSION } from './bounds.ts'
import { EmbeddedControl } from './embedded-control.ts'
import { CLOCK_KEY, EmbeddedDatabase } from './embedded-database.ts'
import { parseExpiring } from './embedded-keys.ts'
import { lockDirectory } from './embedded-lock.ts'
import { fieldsText, parseFields } from './embedded-sessions.ts'
import { StoreUnavailable } from './ports.ts'
import { seal, sync, unseal } from './sealed-file.ts'

const FILE = 'errand.mdb'
/** Above any number that the lost part of the store can have given: it counts milliseconds, and busy writers run ahead of them. */
const SEQUENCE_LEAP = 60_000

export interface BackupFacts {
  readonly bytes: number
  /** Highest sequence number in it, which is about the millisecond of the last revocation. */
  readonly seq: number
  readonly sessions: number
}

/** @param to a file that must not exist yet. @throws StoreUnavailable */
export async function backupEmbedded(directory: string, org: string, to: string): Promise<BackupFacts> {
  const source = join(directory, FILE)
  if (!existsSync(source)) throw new StoreUnavailable(`there is no store in ${directory}`)
  if (existsSync(to)) throw new StoreUnavailable(`${to} exists already, and is left as it is`)
  // Nobody else can look into it while it grows.
  const aside = mkdtempSync(join(dirname(to), '.backup-'))
  try {
    const copy = join(aside, FILE)
    await withDatabase(source, (database) => database.backup(copy, true))
    chmodSync(copy, 0o600)
    const facts = await withDatabase(copy, async (database) => factsOf(database, checkedOrg(org)))
    seal(copy)
    // Unlike a rename, a link never replaces what is there.
    linkSync(copy, to)
    sync(dirname(to))
    return { ...facts, bytes: statSync(to).size }
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

export interface RestoreOptions {
  readonly directory: string
  readonly org: string
  readonly clock: Clock
  /** Set in every session: it is over. */
  readonly endedFields: ReadonlyMap<string, string>
}

/** @throws StoreUnavailable where the directory holds a store, or a broker, or the file is no backup of this version */
export async function restoreEmbedded(from: string, options: RestoreOptions): Promise<BackupFacts> {
  const { directory } = options
  if (!existsSync(from)) throw new StoreUnavailable(`there is no file ${from}`)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const lock = lockDirectory(directory)
  const aside = mkdtempSync(join(directory, '.restore-'))
  try {
    const target = join(directory, FILE)
    if (existsSync(target)) {
      throw new StoreUnavailable(`${directory} holds a store: move ${FILE} and ${FILE}-lock away, or restore elsewhere`)
    }
    const copy = join(aside, FILE)
    copyFileSync(from, copy)
    chmodSync(copy, 0o600)
    if (!unseal(copy)) throw new StoreUnavailable(`${from} is no backup, or not a whole one`)
    const facts = await withDatabase(copy, async (database) => factsOf(database, checkedOrg(options.org)))
    // A clock that was once set far ahead by mistake is forgotten with all that was issued by it.
    await withDatabase(copy, (database) => database.remove(`${options.org}:${CLOCK_KEY}`), false)
    await beginEpoch(aside, options)
    sync(copy)
    // From here on it is a store; before, a broker would have found none.
    renameSync(copy, target)
    sync(directory)
    return { ...facts, bytes: statSync(target).size }
  } finally {
    rmSync(aside, { recursive: true, force: true })
    lock.release()
  }
}

/** Cuts everything off, ends every session, and names a new epoch. Nobody reads it meanwhile. */
async function beginEpoch(directory: string, { org, clock, endedFields }: RestoreOptions): Promise<void> {
  const database = new EmbeddedDatabase(directory, org, clock)
  try {
    const control = await EmbeddedControl.open(database)
    const expiresAtMs = clock.nowMs() + CUTOFF_LIFETIME_S * 1000
    const cutoff = { entry: 'cutoff', dimension: 'everything', id: EVERYTHING, expiresAtMs } as const
    await control.write([cutoff], clock.nowMs() + SEQUENCE_LEAP)
    control.close()
    await database.write(() => {
      database.put('control:epoch', newNonce())
      for (const { key, value } of [...database.range('session:')]) {
        const { expiresAtMs: ends, text } = parseExpiring(value)
        database.putExpiring(key, ends, fieldsText(new Map([...parseFields(text), ...endedFields])))
      }
    })
  } finally {
    await database.close()
  }
}

type Database = ReturnType<typeof open<string, string>>

async function withDatabase<T>(path: string, use: (database: Database) => Promise<T>, readOnly = true): Promise<T> {
  let database: Database | undefined
  try {
    database = open<string, string>({ path, encoding: 'string', readOnly })
    return await use(database)
  } catch (error) {
    if (error instanceof StoreUnavailable) throw error
    throw new StoreUnavailable(`${path} is not a store, or cannot be read`, error)
  } finally {
    await database?.close()
  }
}

function factsOf(database: Database, org: string): Omit<BackupFacts, 'bytes'> {
  const version = database.get(`${org}:schema`)
  if (version === undefined) throw new StoreUnavailable(`this is no store of the organisation ${org}`)
  if (version !== SCHEMA_VERSION) {
    throw new StoreUnavailable(`it has schema version ${version}; this broker knows ${SCHEMA_VERSION} only`)
  }
  const sessions = database.getKeysCount({ start: `${org}:session:`, end: `${org}:session:~` })
  return { seq: Number(database.get(`${org}:control:seq`) ?? 0), sessions }
}
