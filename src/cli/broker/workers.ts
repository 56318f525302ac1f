/**
 * The parent of `errand serve --workers N`: starts the workers, holds what they share (the socket, the lock of an embedded
 * store), and replaces one that dies or falls silent. It answers no request and opens no store.
 *
 * One that cannot be started ends the start; several that die one after the other, soon after their start, end the broker:
 * starting another would hide what is wrong.
 */
import cluster, { type Worker } from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from '../../config/config.ts'
import { systemClock } from '../../kernel/clock.ts'
import {
  SHUTDOWN_MS_MAX,
  WORKER_ALIVE_MS,
  WORKER_DEATHS_MAX,
  WORKER_RESTART_MS,
  WORKER_SILENCE_MS_MAX,
  WORKER_STEADY_MS,
} from '../../kernel/process-limits.ts'
import { holdDirectory } from '../../store/embedded-store.ts'
import { StoreUnavailable } from '../../store/ports.ts'
import { CommandFailure } from '../failures.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

/** A worker ends by itself before; this is for one that hangs. */
const KILL_AFTER_MS = SHUTDOWN_MS_MAX + 300

export interface Supervised {
  readonly config: Config
  readonly workers: number
  /** The configuration's files, for workers that are started later. */
  readonly files: ReadonlyMap<string, string>
  readonly log: Logger
}

/** @throws CommandFailure where a worker cannot be started */
export async function startWorkers(given: Supervised): Promise<{ port: number; stopped: Promise<void> }> {
  const supervisor = new Supervisor(given)
  const held = hold(given, (fault) => supervisor.giveUp(fault))
  const stopped = supervisor.stopped.finally(() => held?.release())
  try {
    return { port: await supervisor.start(), stopped }
  } catch (fault) {
    await stopped.catch(() => undefined)
    throw fault
  }
}

function hold({ config: { store } }: Supervised, lost: (fault: CommandFailure) => void) {
  if (store.kind !== 'embedded') return undefined
  const taken = () => lost(new CommandFailure(`another process has taken the lock of ${store.directory}`))
  try {
    return holdDirectory(store.directory, taken)
  } catch (fault) {
    if (fault instanceof StoreUnavailable) throw new CommandFailure(`the store cannot be used: ${fault.message}`, fault)
    throw fault
  }
}

interface Running {
  readonly id: number
  readonly process: Worker
  readonly startedAtMs: number
  heardAtMs: number
}

class Supervisor {
  readonly stopped: Promise<void>
  readonly #given: Supervised
  readonly #running = new Set<Running>()
  readonly #ready: Promise<number>
  /** Places whose worker has listened. */
  readonly #listening = new Set<number>()
  #becomeReady: (port: number) => void = () => undefined
  #failToStart: (fault: CommandFailure) => void = () => undefined
  #end: (fault?: CommandFailure) => void = () => undefined
  #isStopping = false
  #deaths = 0
  #watchedAtMs = systemClock.nowMs()

  constructor(given: Supervised) {
    this.#given = given
    this.#ready = new Promise((resolve, reject) => {
      this.#becomeReady = resolve
      this.#failToStart = reject
    })
    this.stopped = new Promise((resolve, reject) => {
      this.#end = (fault) => (fault === undefined ? resolve() : reject(fault))
    })
    // Whoever waits for the start hears of its failure there.
    this.stopped.catch(() => undefined)
  }

  start(): Promise<number> {
    // Workers accept for themselves. A connection that this process handed over to one that dies just then would stay open,
    // and its client would wait for ever; a stopped one would be handed connections all the same.
    cluster.schedulingPolicy = cluster.SCHED_NONE
    cluster.setupPrimary({ exec: process.argv[1] ?? '', args: process.argv.slice(2) })
    for (let id = 1; id <= this.#given.workers; id += 1) this.#fork(id)
    const watch = setInterval(() => this.#watch(), WORKER_ALIVE_MS)
    void this.stopped.finally(() => clearInterval(watch)).catch(() => undefined)
    process.on('SIGTERM', () => this.#stop())
    process.on('SIGINT', () => this.#stop())
    process.on('SIGHUP', () => {
      for (const worker of this.#running) worker.process.process.kill('SIGHUP')
    })
    return this.#ready
  }

  /** Ends everything, in order, and says why. */
  giveUp(fault: CommandFailure): void {
    if (this.#isStopping) return
    this.#given.log.fatal({ problem: fault.message }, 'the broker stops')
    this.#failToStart(fault)
    this.#stopAll(fault)
  }

  get #allListen(): boolean {
    return this.#listening.size === this.#given.workers
  }

  #fork(id: number): void {
    const nowMs = systemClock.nowMs()
    const worker: Running = { id, process: cluster.fork(), startedAtMs: nowMs, heardAtMs: nowMs }
    this.#running.add(worker)
    worker.process.on('message', (message: FromWorker) => this.#hear(worker, message))
    worker.process.once('exit', (code, signal) => void this.#bury(worker, signal ?? `exit code ${code}`))
  }

  #hear(worker: Running, message: FromWorker): void {
    worker.heardAtMs = systemClock.nowMs()
    switch (message.is) {
      case 'here': {
        const { workers: count, files } = this.#given
        tell(worker, { is: 'place', id: worker.id, count, isFirst: !this.#allListen, files: [...files] })
        return
      }
      case 'listening':
        if (this.#allListen)
          this.#given.log.info({ worker: worker.id }, 'a worker has taken the place of one that died')
        this.#listening.add(worker.id)
        if (this.#allListen) this.#becomeReady(message.port)
        return
      case 'failed':
        // One reason is enough: the first that is given wins.
        if (!this.#allListen) this.giveUp(new CommandFailure(message.why))
        else this.#given.log.error({ worker: worker.id, problem: message.why }, 'a worker could not start')
        return
      case 'written':
        for (const other of this.#running) if (other !== worker) tell(other, { is: 'written' })
        return
      case 'alive':
        return
    }
  }

  async #bury(worker: Running, how: string): Promise<void> {
    this.#running.delete(worker)
    if (this.#isStopping) return
    const { log } = this.#given
    const livedMs = systemClock.nowMs() - worker.startedAtMs
    this.#deaths = livedMs >= WORKER_STEADY_MS ? 1 : this.#deaths + 1
    log.error({ worker: worker.id, pid: worker.process.process.pid, how, lived_ms: livedMs }, 'a worker died')
    if (this.#deaths > WORKER_DEATHS_MAX) {
      return this.giveUp(new CommandFailure(`workers die as soon as they are started (${how}): see the log`))
    }
    await sleep(WORKER_RESTART_MS * 2 ** (this.#deaths - 1))
    if (!this.#isStopping) this.#fork(worker.id)
  }

  /** A worker that is stopped, or hangs, may hold the lock that all of them need to write. */
  #watch(): void {
    const nowMs = systemClock.nowMs()
    // This process was held up itself: what they said in the meantime has yet to be read.
    const wasHeldUp = Math.abs(nowMs - this.#watchedAtMs) > 2 * WORKER_ALIVE_MS
    this.#watchedAtMs = nowMs
    for (const worker of this.#running) {
      if (wasHeldUp) worker.heardAtMs = nowMs
      if (nowMs - worker.heardAtMs <= WORKER_SILENCE_MS_MAX) continue
      this.#given.log.error({ worker: worker.id }, 'a worker is silent: it is killed')
      worker.process.process.kill('SIGKILL')
    }
  }

  #stop(): void {
    // A second signal does not wait.
    if (this.#isStopping) {
      for (const worker of this.#running) worker.process.process.kill('SIGKILL')
      process.exit(1)
    }
    this.#stopAll(undefined)
  }

  #stopAll(fault: CommandFailure | undefined): void {
    if (this.#isStopping) return
    this.#isStopping = true
    const workers = [...this.#running]
    const gone = workers.map((worker) => new Promise<void>((resolve) => worker.process.once('exit', () => resolve())))
    for (const worker of workers) worker.process.process.kill('SIGTERM')
    const late = setTimeout(() => {
      for (const worker of this.#running) worker.process.process.kill('SIGKILL')
    }, KILL_AFTER_MS)
    void Promise.all(gone).then(() => {
      clearTimeout(late)
      this.#end(fault)
    })
  }
}

function tell(worker: Running, message: ToWorker): void {
  // One that is just ending has no ears; the error is not news.
  if (worker.process.isConnected()) worker.process.send(message, () => undefined)
}
