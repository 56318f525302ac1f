/** Which of two entries of the control feed refuses more, and what refuses as much as both. */

export interface Strictness {
  readonly seq: number
  readonly atMs: number
  /** `null` is for ever. */
  readonly expiresAtMs: number | null
  /** What is newer passes; absent: nothing passes. */
  readonly newerThanS?: number
}

/** Expiry is exclusive: at `expiresAtMs` it is gone. */
export function isExpired(entry: Strictness, nowMs: number): boolean {
  return entry.expiresAtMs !== null && entry.expiresAtMs <= nowMs
}

/** Never replaced, always merged: a late-living old entry and a short-lived new one both hold. */
export function stricter<E extends Strictness>(a: E, b: E): E {
  const { newerThanS, ...merged } = {
    ...a,
    seq: Math.max(a.seq, b.seq),
    atMs: Math.max(a.atMs, b.atMs),
    expiresAtMs: later(a.expiresAtMs, b.expiresAtMs),
  }
  if (newerThanS === undefined || b.newerThanS === undefined) return merged as E
  return { ...merged, newerThanS: Math.max(newerThanS, b.newerThanS) } as E
}

/** Whether `a` refuses whatever `b` refuses, for at least as long, and is ended by no lift that leaves `b`. */
export function covers(a: Strictness, b: Strictness): boolean {
  return (
    a.seq >= b.seq &&
    a.atMs >= b.atMs &&
    later(a.expiresAtMs, b.expiresAtMs) === a.expiresAtMs &&
    (a.newerThanS === undefined || (b.newerThanS !== undefined && a.newerThanS >= b.newerThanS))
  )
}

function later(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.max(a, b)
}

/** @throws Error: what cannot be compared would kill nothing */
export function wellFormed(value: number, name: string): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`control entry with a malformed ${name}`)
  return value
}
