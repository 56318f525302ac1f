/**
 * A deadline that a busy process does not hold against the store: when this process itself was held up, the answer lies in
 * its queue already, and is taken before the deadline counts.
 */
export function startDeadline(deadlineMs: number, late: () => void): Deadline {
  let isMet = false
  let isLate = false
  const fire = (): void => {
    if (isMet) return
    isLate = true
    late()
  }
  const timer = setTimeout(() => setImmediate(() => setImmediate(fire)), deadlineMs)
  return {
    met() {
      isMet = true
      clearTimeout(timer)
      return !isLate
    },
  }
}

interface Deadline {
  /** Whether in time: `false` after `late` was called. */
  met(): boolean
}
