/**
 * Which of the 64 shards a session lives in: its record and its outbox share a slot of a Redis Cluster (DESIGN §9). Verifiers
 * compute it as well: a cut-off names a shard whose store has lost writes.
 */
import { hash } from 'node:crypto'
import { SHARDS } from './store-limits.ts'

export function shardOf(key: string): number {
  // Its first two octets. As text: a buffer of its own costs as much as the digest.
  return Number.parseInt(hash('sha256', key, 'hex').slice(0, 4), 16) % SHARDS
}

/** As keys and cut-offs name it. */
export function shardName(key: string): string {
  return `s${shardOf(key)}`
}
