/** Which of the 64 shards a session lives in: its record and its outbox share a slot of a Redis Cluster (DESIGN §9). */
import { hash } from 'node:crypto'
import { SHARDS } from '../kernel/store-limits.ts'

export function shardOf(key: string): number {
  return hash('sha256', key, 'buffer').readUInt16BE(0) % SHARDS
}
