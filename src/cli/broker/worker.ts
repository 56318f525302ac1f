/**
 * One worker of `errand serve --workers`: told its place and its configuration by its parent, and gone when its parent is: the
 * parent holds the lock of the embedded store for it.
 */
import type { WorkerPlace } from '../../broker.ts'
import { readAsParent } from '../../config/load-config.ts'
import { messageOf } from '../../kernel/fault.ts'
import { WORKER_ALIVE_MS } from '../../kernel/process-limits.ts'
import { CommandFailure } from '../failures.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

export type ServeAsWorker = (place: WorkerPlace) => Promise<{ readonly port: number; readonly stopped: Promise<void> }>

/** @returns the exit code, when it has stopped */
export async function joinAsWorker(serve: ServeAsWorker): Promise<number> {
  const heard = new Set<() => void>()
  const told = new Promise<Extract<ToWorker, { is: 'place' }>>((resolve) => {
    process.on('message', (message: ToWorker) => {
      if (message.is === 'place') resolve(message)
      else for (const listener of heard) listener()
    })
  })
  const parent = endWithParent()
  say({ is: 'here' })
  const alive = setInterval(() => say({ is: 'alive' }), WORKER_ALIVE_MS)
  const { id, count, isFirst, files } = await told
  readAsParent(files)
  const peers = {
    lockHolderPid: process.ppid,
    notify: () => say({ is: 'written' }),
    onNotified: (listener: () => void) => void heard.add(listener),
  }
  try {
    const { port, stopped } = await serve({ id, count, isFirst, peers })
    say({ is: 'listening', port })
    await stopped
  } catch (fault) {
    await new Promise<void>((told) => say({ is: 'failed', why: messageOf(fault) }, told))
    if (!(fault instanceof CommandFailure)) throw fault
    // Its parent says it, once for all workers.
    return 1
  } finally {
    clearInterval(alive)
    parent.mayGo()
    // The channel would keep the process alive; what was said on it is delivered first.
    process.disconnect()
  }
  return 0
}

/**
 * `node:cluster` calls `exit` in a worker that has lost its parent, which waits for threads: one in the middle of a write to the
 * embedded store waits for this one in turn. Such a worker would be there for ever, with the store's own lock.
 */
function endWithParent(): { mayGo(): void } {
  const die = () => process.kill(process.pid, 'SIGKILL')
  process.prependOnceListener('disconnect', die)
  return { mayGo: () => void process.off('disconnect', die) }
}

function say(message: FromWorker, said: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, said)
  else said()
}
