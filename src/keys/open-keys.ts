/**
 * Opens the key directory a configuration names: the ring of what is in it, and what keeps that ring in step.
 *
 * Every algorithm that a resource asks for has a key from the first start on. But a machine that joins brokers who share a
 * store makes none where it has none at all: theirs are to be mounted, and a second set would split the ring.
 */
import { type Clock, epochSeconds } from '../kernel/clock.ts'
import { ensureKeys, keyFileNames } from './key-files.ts'
import { KeyKeeper } from './key-keeper.ts'
import { KeyRing } from './key-ring.ts'
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
}

export interface OpenKeys {
  readonly ring: KeyRing
  readonly keeper: KeyKeeper
  readonly shared: SharedRing | undefined
}

/** @param report is told what keeps the ring from following its directory. @throws KeyFileError, StoreUnavailable */
export async function openKeys(options: KeysOptions, report: (problem: string) => void): Promise<OpenKeys> {
  const { directory, development, issuer, clock, document } = options
  const ring = (await joins(options)) ? new KeyRing([]) : new KeyRing(await firstKeys(options))
  const shared = document === undefined ? undefined : new SharedRing({ ring, document, issuer, clock })
  return { ring, keeper: new KeyKeeper({ directory, development, ring, clock, shared }, report), shared }
}

async function joins({ directory, document }: KeysOptions): Promise<boolean> {
  if ((await document?.read()) === undefined) return false
  return (await keyFileNames(directory).catch(() => [])).length === 0
}

function firstKeys({ directory, development, algs, clock }: KeysOptions) {
  const all = new Set<KeyAlgorithm>(['ES256', 'RS256', ...algs])
  return ensureKeys(directory, { development, now: epochSeconds(clock), algs: [...all] })
}
