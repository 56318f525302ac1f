/**
 * Opens the key directory a configuration names: the ring of what is in it, and what keeps that ring in step.
 *
 * Every algorithm that a resource asks for has a key from the first start on. But a machine that joins brokers who share a
 * store makes none where it has none at all: theirs are to be mounted, and a second set would split the ring.
 */
import { type Clock, epochSeconds } from '../kernel/clock.ts'
import { assertCanSeal, KeyEncryptionKeys } from './key-encryption-keys.ts'
import { ensureKeys, keyFileNames } from './key-files.ts'
import { KeyKeeper } from './key-keeper.ts'
import { KeyRing } from './key-ring.ts'
import { ensureLogKey, LogKey } from './log-key.ts'
import type { KeyAlgorithm } from './ring-view.ts'
import { type RingDocument, SharedRing } from './shared-ring.ts'

export interface KeysOptions {
  readonly directory: string
  readonly development: boolean
  /** What resources want their tokens signed with, beside what every ring has. */
  readonly algs: readonly KeyAlgorithm[]
  readonly issuer: string
  readonly clock: Clock
  /** Where machines that share the ring tell each other of their keys; `undefined`: all brokers use this one directory. */
  readonly document: RingDocument | undefined
  /** Whether something is sealed: without a key-encryption key there is nothing to seal it with. */
  readonly sealing: boolean
  /** Where keys that sign the audit log are announced. */
  readonly logKeys: RingDocument
}

export interface OpenKeys {
  readonly ring: KeyRing
  readonly keeper: KeyKeeper
  readonly shared: SharedRing | undefined
  readonly logKey: LogKey
  readonly keks: KeyEncryptionKeys
}

/** @param report is told what keeps the ring from following its directory. @throws KeyFileError, StoreUnavailable */
export async function openKeys(options: KeysOptions, report: (problem: string) => void): Promise<OpenKeys> {
  const { directory, development, issuer, clock, document } = options
  const joining = await joins(options)
  const ring = joining ? new KeyRing([]) : new KeyRing(await firstKeys(options))
  if (!joining) await ensureLogKey(options)
  const shared = document === undefined ? undefined : new SharedRing({ ring, document, issuer, clock })
  const keeper = new KeyKeeper({ directory, development, ring, clock, shared }, report)
  return { ring, keeper, shared, logKey: new LogKey(options, options.logKeys), keks: await openKeks(options) }
}

async function openKeks({ directory, sealing }: KeysOptions): Promise<KeyEncryptionKeys> {
  const keks = await KeyEncryptionKeys.open(directory)
  assertCanSeal(keks, directory, sealing)
  return keks
}

async function joins({ directory, document }: KeysOptions): Promise<boolean> {
  if ((await document?.read()) === undefined) return false
  return (await keyFileNames(directory).catch(() => [])).length === 0
}

function firstKeys({ directory, development, algs, clock }: KeysOptions) {
  const all = new Set<KeyAlgorithm>(['ES256', 'RS256', ...algs])
  return ensureKeys(directory, { development, now: epochSeconds(clock), algs: [...all] })
}
