/** What a system under test says about itself: CPU time of its whole process and of its main thread, and its CPU profile. */
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Handlers } from './rpc.ts'

/** Short of a millisecond, long against a function: thousands of samples a second. */
const SAMPLE_MICROS = 200
/** What an answer leaves behind (lists, caches, acknowledgements) is counted to the requests that caused it. */
const SETTLE_MS = 20

export interface Usage {
  /** User and system, all threads. */
  readonly processMicros: number
  readonly mainThreadMicros: number
}

/** @param settle what the system does later for requests that it has answered: now, so that it is counted to them */
export function usageHandlers(settle: () => Promise<void> = async () => undefined): Handlers {
  let session: Session | undefined
  return {
    usage: async (): Promise<Usage> => {
      await sleep(SETTLE_MS)
      await settle()
      const whole = process.cpuUsage()
      const main = process.threadCpuUsage()
      return { processMicros: whole.user + whole.system, mainThreadMicros: main.user + main.system }
    },
    startProfile: async () => {
      session = new Session()
      session.connect()
      await session.post('Profiler.enable')
      await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS })
      await session.post('Profiler.start')
    },
    stopProfile: async (path: string) => {
      if (session === undefined) throw new Error('no profile was started')
      const { profile } = await session.post('Profiler.stop')
      session.disconnect()
      writeFileSync(path, JSON.stringify(profile))
    },
  }
}
