/** Brings records of the outboxes into the log as a sequencer does, as many as are wanted; and prunes it from its beginning. */

import { DIMENSIONS } from '../../src/audit/log/columns.ts'
import { formatHead, parseHead } from '../../src/audit/log/head.ts'
import {
  BUNDLE_RECORDS,
  bundleOf,
  chunkOf,
  columnPiece,
  contentsPiece,
  recordsPiece,
} from '../../src/audit/log/layout.ts'
import { LogTail } from '../../src/audit/log/log-tail.ts'
import { gatherContents } from '../../src/audit/log/named-contents.ts'
import { OutboxReader } from '../../src/audit/log/outbox-reader.ts'
import { LogTrail } from '../../src/audit/trail/log-trail.ts'
import { systemTicks } from '../../src/kernel/clock.ts'
import type { Store } from '../../src/store/ports.ts'

type Logged = Pick<Store, 'audit' | 'log'>

/** @returns how many records are in the log */
export async function sequence({ audit, log }: Logged, atMost = Number.POSITIVE_INFINITY): Promise<number> {
  const reader = new OutboxReader(audit, log, () => undefined)
  for (let left = atMost; ; ) {
    const text = await log.head()
    const tail = await LogTail.open(parseHead(text), log)
    const { incoming, cursors } = await reader.read(tail.head)
    const wanted = incoming.slice(0, Math.min(left, tail.room))
    if (wanted.length === 0) return tail.head.size
    const { batch, contents } = await gatherContents(wanted, {
      audit,
      tail,
      acknowledged: { contentsOf: () => undefined },
    })
    const { head, pieces } = await tail.prepare(batch, contents, {
      by: 'test',
      at: '',
      floor: tail.head.floor,
      cursors,
    })
    if (!(await log.append(text, formatHead(head), pieces))) throw new Error('somebody else appended')
    left -= batch.length
  }
}

/** Bodies before an index, in whole bundles; columns where a whole chunk is gone. @returns the first record that is left */
export async function prune({ log }: Pick<Logged, 'log'>, before: number): Promise<number> {
  const bundles = Array.from({ length: bundleOf(before) }, (_, n) => n)
  const chunks = Array.from({ length: chunkOf(before) }, (_, n) => n)
  const columns = chunks.flatMap((chunk) => [...DIMENSIONS, 'at'].map((dimension) => columnPiece(dimension, chunk)))
  await log.remove([...bundles.flatMap((n) => [recordsPiece(n), contentsPiece(n)]), ...columns])
  return bundles.length * BUNDLE_RECORDS
}

/** Over a store that no broker uses: what is not in the log when it is wanted there is brought there. */
export function trailOf(store: Logged): LogTrail {
  return new LogTrail({ ...store, ticks: systemTicks, sequence: async () => void (await sequence(store)) })
}
