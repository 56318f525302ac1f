/** A bound on what others do for us: whoever waits for it is told that it did not come, and may ask again. */

/** What comes of the work later is nobody's. @throws Error when it has not ended in time */
export async function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('the broker was not asked in time')), Math.max(timeoutMs, 0))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
