/** The one place where something becomes `Verified`: every caller in this folder has run all its checks by then. */
import type { Verified } from '../model/evidence.ts'

export function verified<T extends object>(checked: T): Verified<T> {
  return Object.freeze(checked) as Verified<T>
}
