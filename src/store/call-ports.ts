/** The ports to what is kept of calls of tools, and to how often things happen. What `ports.ts` promises holds here, too. */
import type { Content } from '../model/commit.ts'

/** A call of a tool: what was kept of it before it may run, and, once that is known, how it ended. */
export interface KeptCall {
  readonly text: string
  /** `undefined`: nobody knows yet. */
  readonly ended: string | undefined
}

/** How a call ended: written over what was there, if it is still that. */
export interface CallEnd {
  /** What is there now; `undefined`: nothing. */
  readonly over: string | undefined
  readonly ended: string
  /** Until when it is kept that there was such a call. */
  readonly expiresAtMs: number
  /** Serialised audit record, appended in the same write; `undefined`: none. */
  readonly audit: string | undefined
  /** What that record names by digest, kept in the same write. */
  readonly contents?: readonly Content[]
}

/** Calls of tools, from before they may run until it is known how they ended, and a while longer. */
export interface CallStore {
  /**
   * The first text of a key stays: what is there now. It does not expire before it has ended, and is due from then on.
   * @throws OutboxFull where its end could not be recorded now
   */
  begin(key: string, text: string, dueAtMs: number): Promise<KeptCall>
  read(key: string): Promise<KeptCall | undefined>
  /** An end, as `Commit.isEnd` has it. What is there now, and whether this wrote it; `undefined`: no such call. An end of any kind makes it no longer due. */
  end(key: string, end: CallEnd): Promise<(KeptCall & { readonly written: boolean }) | undefined>
  /** Keys of calls whose time was up at that moment and that have not ended; of each part of the store, so many at most. */
  due(nowMs: number, limit: number): Promise<readonly string[]>
}

export interface WindowLimit {
  readonly name: string
  /** Places, at least one. */
  readonly limit: number
}

/** How often something happens within any stretch of time, counted for all brokers of a store. */
export interface WindowStore {
  /**
   * A place in each of the owner's windows named, or in none: `undefined` when taken; else the first that is full, and in how
   * many milliseconds it has a place again. A place is held for `lengthMs` by the store's clock; whoever asks again with the
   * same id has it already.
   */
  take(
    owner: string,
    id: string,
    windows: readonly WindowLimit[],
    lengthMs: number,
  ): Promise<{ readonly full: string; readonly waitMs: number } | undefined>
  /** How many places of each are taken. */
  count(owner: string, names: readonly string[], lengthMs: number): Promise<readonly number[]>
  /** What the place was taken for has not happened. */
  release(owner: string, id: string, names: readonly string[]): Promise<void>
}
