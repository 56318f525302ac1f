/**
 * Which of the 64 shards a session lives in: its record and its outbox share a slot of a Redis Cluster (DESIGN §9). Verifiers
 * compute it as well: a cut-off names a shard whose store has lost writes.
 */
import { hash } from 'node:crypto'
import { SHARDS } from './store-limits.ts'

export function shardOf(key: string): number {
  return hash('sha256', key, 'buffer').readUInt16BE(0) % SHARDS
}

/** As keys and cut-offs name it. */
export function shardName(key: string): string {
  return `s${shardOf(key)}`
}
