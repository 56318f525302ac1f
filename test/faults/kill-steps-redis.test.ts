/** `kill -9` of a broker between any two steps of an exchange and of a revoke, on Redis. */
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { killStepSuite } from './kill-step-suite.ts'

let redis: RunningRedis | undefined
afterAll(() => redis?.stop())

killStepSuite(async () => {
  redis = await startRedis({ args: ['--appendonly', 'yes'] })
  const { url, dir } = redis
  return { storeIn: () => ({ kind: 'redis', url }), data: join(dir, 'appendonlydir') }
})
