/**
 * Child of the durability tests: commits and writes cut-offs without end, and says each one aloud after, and only after, it
 * was acknowledged. Arguments: `embedded <directory> [<pid that holds the lock>]` or `redis <url>`.
 */
import { systemClock } from '../../src/kernel/clock.ts'
import type { SessionId } from '../../src/kernel/ids.ts'
import { openStore } from '../../src/store/open-store.ts'

const [kind, target = '', holder] = process.argv.slice(2)
const alone = { notify: () => undefined, onNotified: () => undefined }
const peers = holder === undefined ? {} : { peers: { ...alone, lockHolderPid: Number(holder) } }
const store = await openStore(
  kind === 'redis'
    ? { kind, url: target, org: 'acme' }
    : { kind: 'embedded', directory: target, org: 'acme', clock: systemClock, ...peers },
)
const expiresAtMs = systemClock.nowMs() + 3_600_000

async function write(worker: number): Promise<never> {
  for (let n = 0; ; n++) {
    const id = `${process.pid}-${worker}-${n}`
    const session = `ses_${id}` as SessionId
    await store.sessions.commit({
      session,
      id,
      checks: [{ check: 'absent', field: 'state' }],
      operations: [{ operation: 'set', field: 'state', value: 'active' }],
      expiresAtMs,
      audit: id,
    })
    process.stdout.write(`commit ${id}\n`)
    const { seq } = await store.control.write([{ entry: 'cutoff', dimension: 'session', id, expiresAtMs }], 0)
    process.stdout.write(`control ${id} ${seq}\n`)
    await store.claims.claim(id, id, expiresAtMs)
    process.stdout.write(`claim ${id}\n`)
  }
}

await Promise.all(Array.from({ length: 8 }, (_, worker) => write(worker)))
