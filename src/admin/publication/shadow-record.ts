/** Which draft runs in shadow, for all brokers of a store, and what they have counted of it: two documents, each changed by compare-and-set. */
import { POLICY_ATTEMPTS_MAX } from '../../kernel/policy-limits.ts'
import type { DocumentStore } from '../../store/ports.ts'

export interface ShadowRun {
  /** Of this run: the same draft may run again. */
  readonly id: string
  readonly version: string
  /** Principal. */
  readonly by: string
  /** RFC 3339. */
  readonly begun_at: string
  /** From then on it is off. */
  readonly until: string
}

export interface ShadowCounts {
  readonly compared: number
  readonly differed: number
  /** Decisions that could not be compared: nothing but the count came of it. */
  readonly faults: number
}

export const NOTHING_COUNTED: ShadowCounts = { compared: 0, differed: 0, faults: 0 }

const [RUN, COUNTS] = ['shadow', 'shadow:counts']

/** As it is in the store, and the text that a change of it must name. */
export interface StoredRun {
  readonly run: ShadowRun | undefined
  readonly text: string | undefined
}

/** @throws StoreUnavailable */
export async function readRun(documents: DocumentStore): Promise<StoredRun> {
  const text = await documents.read(RUN)
  return { run: text === undefined || text === '' ? undefined : (JSON.parse(text) as ShadowRun), text }
}

/** @param next `undefined`: none runs any more. `false`: another was faster. @throws StoreUnavailable */
export function replaceRun(
  documents: DocumentStore,
  { text }: StoredRun,
  next: ShadowRun | undefined,
): Promise<boolean> {
  return documents.replace(RUN, text, next === undefined ? '' : JSON.stringify(next))
}

/** @throws StoreUnavailable */
export async function readCounts(documents: DocumentStore, run: ShadowRun): Promise<ShadowCounts> {
  return countsIn(await documents.read(COUNTS), run)
}

function countsIn(text: string | undefined, { id }: ShadowRun): ShadowCounts {
  const stored = text === undefined ? undefined : (JSON.parse(text) as ShadowCounts & { readonly run: string })
  if (stored?.run !== id) return NOTHING_COUNTED
  const { compared, differed, faults } = stored
  return { compared, differed, faults }
}

/** `false`: too many others add at the same time, and nothing was added. @throws StoreUnavailable */
export async function addCounts(documents: DocumentStore, run: ShadowRun, more: ShadowCounts): Promise<boolean> {
  for (let attempt = 0; attempt < POLICY_ATTEMPTS_MAX; attempt += 1) {
    const text = await documents.read(COUNTS)
    const next = { run: run.id, ...plus(countsIn(text, run), more) }
    if (await documents.replace(COUNTS, text, JSON.stringify(next))) return true
  }
  return false
}

export function plus(a: ShadowCounts, b: ShadowCounts): ShadowCounts {
  return { compared: a.compared + b.compared, differed: a.differed + b.differed, faults: a.faults + b.faults }
}
