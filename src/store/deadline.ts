/**
 * A deadline that a busy process does not hold against the store: when this process itself was held up, the answer lies in
 * its queue already, and is taken before the deadline counts.
 */
export function startDeadline(deadlineMs: number, late: () => void): { met(): void } {
  let met = false
  const fire = (): void => {
    if (!met) late()
  }
  const timer = setTimeout(() => setImmediate(() => setImmediate(fire)), deadlineMs)
  return {
    met() {
      met = true
      clearTimeout(timer)
    },
  }
}
