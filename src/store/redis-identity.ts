/**
 * Who a Redis server is: which run of it, and which history of writes it goes on with. A restart is another run; a replica that
 * has become a primary begins another history, and so does a primary that has been a replica in between.
 */
import { StoreUnavailable } from './ports.ts'

const PART = 20

export interface ServerIdentity {
  /** Changes with every restart and every failover. */
  readonly epoch: string
  readonly isPrimary: boolean
}

/** @param info the sections `server` and `replication` of `INFO` */
export function identityIn(info: string): ServerIdentity {
  const epoch = infoField(info, 'run_id').slice(0, PART) + infoField(info, 'master_replid').slice(0, PART)
  return { epoch, isPrimary: infoField(info, 'role') === 'master' }
}

/**
 * The same in a script: `epoch`, of the server that runs it. One that has become a replica since the connection was made is told by
 * its role alone: it keeps its history until it has taken over another, and until then says nothing new.
 */
export const EPOCH = `
local replication = redis.call('INFO', 'replication')
if not string.match(replication, 'role:master') then
  return redis.error_reply('READONLY This server has become a replica.')
end
local epoch = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'), 1, ${PART})
  .. string.sub(string.match(replication, 'master_replid:(%w+)'), 1, ${PART})
`

/** @throws StoreUnavailable where the server does not report it */
export function infoField(info: string, field: string): string {
  const found = optionalField(info, field)
  if (found !== undefined) return found
  throw new StoreUnavailable(
    `Redis does not report ${field}: check that this is Redis 7 or Valkey, and that INFO is allowed`,
  )
}

export function optionalField(info: string, field: string): string | undefined {
  const line = info.split('\r\n').find((one) => one.startsWith(`${field}:`))
  return line?.slice(field.length + 1)
}
