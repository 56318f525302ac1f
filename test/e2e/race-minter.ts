/**
 * The minting broker of the two-process race, at store level: for each session named on stdin it counts leaves until the
 * store refuses, then says what it did. Argument: the URL of a Redis.
 *
 * stdout: `ready`; per session `minting <session>` after its first leaf, and `refused <session> <leaves> <start>` at the end:
 * `start` is when its last successful mint began, on the machine's monotonic clock, which both processes share.
 */
import { createInterface } from 'node:readline'
import type { SessionId } from '../../src/kernel/ids.ts'
import { openStore } from '../../src/store/open-store.ts'
import { whenAvailable } from '../support/patience.ts'
import { mintCommit } from '../support/race-commits.ts'

const store = await openStore({ kind: 'redis', url: process.argv[2] ?? '', org: 'acme' })

async function mintUntilRefused(session: SessionId): Promise<void> {
  let lastStart = 0n
  for (let leaves = 0; ; leaves++) {
    const start = process.hrtime.bigint()
    const commit = mintCommit(session, leaves)
    const outcome = await whenAvailable(() => store.sessions.commit(commit))
    if (!outcome.committed) {
      process.stdout.write(`refused ${session} ${leaves} ${lastStart}\n`)
      return
    }
    lastStart = start
    if (leaves === 0) process.stdout.write(`minting ${session}\n`)
  }
}

process.stdout.write('ready\n')
for await (const line of createInterface({ input: process.stdin })) void mintUntilRefused(line as SessionId)
await store.close()
