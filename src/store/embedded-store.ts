/** The embedded store: LMDB in one directory, one process or the workers of one parent (DESIGN §9). Durable means: synced to this machine's disk. */
import { mkdirSync } from 'node:fs'
import type { Clock } from '../kernel/clock.ts'
import { BatchedIndexes } from './batched-indexes.ts'
import { checkedOrg, type OutboxOptions, outboxBounds, SCHEMA_VERSION } from './bounds.ts'
import { EmbeddedAudit } from './embedded-audit.ts'
import { EmbeddedCalls } from './embedded-calls.ts'
import { type ControlPeers, EmbeddedControl } from './embedded-control.ts'
import { EmbeddedDatabase } from './embedded-database.ts'
import { EmbeddedDocuments } from './embedded-documents.ts'
import { EmbeddedIndexes } from './embedded-indexes.ts'
import { type DirectoryLock, joinLock, lockDirectory } from './embedded-lock.ts'
import { EmbeddedLog } from './embedded-log.ts'
import { EmbeddedClaims, EmbeddedSessions } from './embedded-sessions.ts'
import { EmbeddedWindows } from './embedded-windows.ts'
import { startHeartbeat } from './heartbeat.ts'
import { type Store, StoreUnavailable } from './ports.ts'

const TOUCH_INTERVAL_MS = 1_000
/** About as large as what a request writes. */
const PROBE = ' '.repeat(2_048)

export interface StorePeers extends ControlPeers {
  readonly lockHolderPid: number
}

export interface EmbeddedOptions extends OutboxOptions {
  readonly directory: string
  readonly org: string
  readonly clock: Clock
  /** Set where this process is one of several on the directory; the parent of all of them holds its lock. */
  readonly peers?: StorePeers
}

export async function openEmbeddedStore(options: EmbeddedOptions): Promise<Store> {
  const org = checkedOrg(options.org)
  const lock = lockUsable(options.directory, options.peers?.lockHolderPid)
  try {
    const database = new EmbeddedDatabase(options.directory, org, options.clock, options.peers !== undefined)
    try {
      await checkSchema(database)
      return await assemble(database, lock, options)
    } catch (error) {
      await database.close()
      throw error
    }
  } catch (error) {
    lock.release()
    throw unusable(options.directory, error)
  }
}

/** Holds a directory for processes that this one starts. @throws StoreUnavailable */
export function holdDirectory(directory: string, lost: () => void): { release(): void } {
  const lock = lockUsable(directory, undefined)
  const timer = setInterval(() => {
    if (!lock.touch()) lost()
  }, TOUCH_INTERVAL_MS)
  timer.unref()
  return {
    release() {
      clearInterval(timer)
      lock.release()
    },
  }
}

function lockUsable(directory: string, holderPid: number | undefined): DirectoryLock {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return holderPid === undefined ? lockDirectory(directory) : joinLock(directory, holderPid)
  } catch (error) {
    throw unusable(directory, error)
  }
}

function unusable(directory: string, error: unknown): StoreUnavailable {
  if (error instanceof StoreUnavailable) return error
  return new StoreUnavailable(`the embedded store in ${directory} cannot be opened`, error)
}

async function checkSchema(database: EmbeddedDatabase): Promise<void> {
  const found = await database.write(() => {
    const version = database.get('schema')
    if (version === undefined) database.put('schema', SCHEMA_VERSION)
    return version ?? SCHEMA_VERSION
  })
  if (found !== SCHEMA_VERSION) {
    throw new StoreUnavailable(
      `the store has schema version ${found}; this broker knows ${SCHEMA_VERSION} only: run the Errand that wrote it, or name an empty store`,
    )
  }
}

async function assemble(database: EmbeddedDatabase, lock: DirectoryLock, options: EmbeddedOptions): Promise<Store> {
  const audit = new EmbeddedAudit(database, outboxBounds(options))
  const control = await EmbeddedControl.open(database, options.peers)
  const timer = setInterval(() => {
    if (!lock.touch()) database.refuse('another process has taken the lock of this directory')
    void database.keepTime().catch(() => undefined)
  }, TOUCH_INTERVAL_MS)
  timer.unref()
  const indexes = new BatchedIndexes(new EmbeddedIndexes(database))
  // After a transaction that failed, such as on a full disk, another: its end is noticed without a request.
  const probe = () => database.write(() => database.put('probe', PROBE))
  const heartbeat = startHeartbeat(async () => (database.takesWrites ? undefined : probe()))
  let closing: Promise<void> | undefined
  return {
    sessions: new EmbeddedSessions(database, audit),
    claims: new EmbeddedClaims(database),
    control,
    audit,
    log: new EmbeddedLog(database),
    indexes,
    documents: new EmbeddedDocuments(database),
    windows: new EmbeddedWindows(database),
    calls: new EmbeddedCalls(database, audit),
    async ping() {
      database.read(() => database.get('schema'))
      return { nowMs: database.clock.nowMs() }
    },
    get takesWrites() {
      return database.takesWrites
    },
    close() {
      heartbeat.stop()
      closing ??= indexes.flush().then(() => closeAll(database, lock, control, timer))
      return closing
    },
  }
}

async function closeAll(
  database: EmbeddedDatabase,
  lock: DirectoryLock,
  control: EmbeddedControl,
  timer: NodeJS.Timeout,
): Promise<void> {
  control.close()
  await database.close()
  clearInterval(timer)
  lock.release()
}
