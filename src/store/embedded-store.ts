/** The embedded store: LMDB in one directory, one process (DESIGN §9). Durable means: synced to this machine's disk. */
import { mkdirSync } from 'node:fs'
import type { Clock } from '../kernel/clock.ts'
import { checkedOrg, SCHEMA_VERSION } from './bounds.ts'
import { EmbeddedAudit } from './embedded-audit.ts'
import { EmbeddedControl } from './embedded-control.ts'
import { EmbeddedDatabase } from './embedded-database.ts'
import { EmbeddedIndexes } from './embedded-indexes.ts'
import { type DirectoryLock, lockDirectory } from './embedded-lock.ts'
import { EmbeddedClaims, EmbeddedSessions } from './embedded-sessions.ts'
import { type Store, StoreUnavailable } from './ports.ts'

const TOUCH_INTERVAL_MS = 1_000

export interface EmbeddedOptions {
  readonly directory: string
  readonly org: string
  readonly clock: Clock
  /** Contents kept: fewer where it is shown that the oldest are forgotten. */
  readonly contentsMax?: number
}

export async function openEmbeddedStore(options: EmbeddedOptions): Promise<Store> {
  const org = checkedOrg(options.org)
  const lock = lockUsable(options.directory)
  try {
    const database = new EmbeddedDatabase(options.directory, org, options.clock)
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

function lockUsable(directory: string): DirectoryLock {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    return lockDirectory(directory)
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
    throw new StoreUnavailable(`the store has schema version ${found}; this broker knows ${SCHEMA_VERSION} only`)
  }
}

async function assemble(
  database: EmbeddedDatabase,
  lock: DirectoryLock,
  { contentsMax }: EmbeddedOptions,
): Promise<Store> {
  const audit = new EmbeddedAudit(database, contentsMax === undefined ? {} : { contentsMax })
  const control = await EmbeddedControl.open(database)
  const timer = setInterval(() => {
    if (!lock.touch()) database.refuse('another process has taken the lock of this directory')
  }, TOUCH_INTERVAL_MS)
  timer.unref()
  let closing: Promise<void> | undefined
  return {
    sessions: new EmbeddedSessions(database, audit),
    claims: new EmbeddedClaims(database),
    control,
    audit,
    indexes: new EmbeddedIndexes(database),
    async ping() {
      database.read(() => database.get('schema'))
      return { nowMs: database.clock.nowMs() }
    },
    get takesWrites() {
      return database.takesWrites
    },
    close() {
      closing ??= closeAll(database, lock, control, timer)
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
