/**
 * Everything the Redis store does that must be atomic, as Lua. A script is sent by its digest; every key it touches is
 * passed in and lies in one slot, so that the same scripts run on a cluster.
 *
 * Each script reads and decides first, then writes: Redis does not roll a failed script back. `#!lua` lets the server refuse
 * at the start, before the first write, when it is out of memory; only revoking is allowed then.
 * Redis keeps a key through the millisecond of its expiry; ours is exclusive, hence the `- 1`.
 */
import { EPOCH } from './redis-identity.ts'
import { LOG_APPEND, OUTBOX_PENDING, OUTBOX_TRIM } from './redis-log-scripts.ts'
import { READ } from './redis-record-fields.ts'
import { APPEND, CALL_BEGIN, CALL_END, COMMIT } from './redis-record-scripts.ts'

const NOW = `
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
`

/**
 * KEYS claim, mark. ARGV nonce, expiry, what the mark must be. Past its expiry a claim cannot be kept, so single use could not be
 * promised. -1: the mark is another, or gone: claims may be, too.
 */
const CLAIM = `#!lua
${NOW}
local expires = tonumber(ARGV[2])
if expires <= now then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return -1 end
local holder = redis.call('GET', KEYS[1])
if holder then return holder == ARGV[1] and 1 or 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', string.format('%.0f', expires - 1))
return 1
`

/**
 * KEYS sequence, entries, expiries, events. ARGV floor, bound of the event stream, the policy version that must be published
 * ('-': none may be; '': whatever is), the slot that says which one is, then per entry: slot, entry, expiry, newer-than ('-':
 * none). Merges as `control-text.ts` does. Works out of memory: a full store must still revoke.
 * Answers {seq, now}; {'', ''} where another version is published.
 */
const CONTROL_WRITE = `#!lua flags=allow-oom
${NOW}
local function later(a, b)
  if a == '-' or b == '-' then return '-' end
  if tonumber(a) >= tonumber(b) then return a end
  return b
end
local function live(expires)
  return expires == '-' or tonumber(expires) > now
end
if ARGV[3] ~= '' then
  local policy = redis.call('HGET', KEYS[2], ARGV[4])
  local version = policy and string.match(policy, '^%S+ %S+ %S+ %S+ (%S+)') or '-'
  if version ~= ARGV[3] then return {'', ''} end
end
local last = redis.call('GET', KEYS[1]) or '0'
local seq = string.format('%.0f', math.max(tonumber(last) + 1, tonumber(ARGV[1]), now))
if tonumber(seq) > 9007199254740991 then return redis.error_reply('ERR the sequence is exhausted') end
local at = string.format('%.0f', now)
local gone = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', at, 'LIMIT', 0, 100)
for _, slot in ipairs(gone) do
  redis.call('HDEL', KEYS[2], slot)
  redis.call('ZREM', KEYS[3], slot)
end
local event = {'prev', last}
for i = 5, #ARGV, 4 do
  local slot, entry, expires, newer = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  event[#event + 1] = slot
  event[#event + 1] = table.concat({entry, seq, at, expires, newer}, ' ')
  local carried, forgotten = '', nil
  local stored = redis.call('HGET', KEYS[2], slot)
  if stored and entry ~= 'policy' then
    local old, lift, oldExpires, oldNewer, rest = string.match(stored, '^(%S+) (%S+ %S+) (%S+) (%S+)(.*)$')
    if old == 'lift' then rest = ' ' .. lift .. ' ' .. oldExpires end
    local liftExpires = string.match(rest, '(%S+)$')
    if entry == 'lift' then
      local lasting = liftExpires and later(oldExpires, liftExpires) or oldExpires
      if live(lasting) then expires = lasting end
    else
      if old == entry and live(oldExpires) then
        expires = later(oldExpires, expires)
        newer = later(oldNewer, newer)
      end
      if liftExpires and live(liftExpires) then
        carried = rest
        forgotten = later(expires, liftExpires)
      end
    end
  end
  forgotten = forgotten or expires
  redis.call('HSET', KEYS[2], slot, table.concat({entry, seq, at, expires, newer}, ' ') .. carried)
  if forgotten == '-' then redis.call('ZREM', KEYS[3], slot) else redis.call('ZADD', KEYS[3], forgotten, slot) end
end
redis.call('SET', KEYS[1], seq)
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[2], seq .. '-0', unpack(event))
return {seq, at}
`

/** A history goes on in one epoch of its server, until something is asserted again that it had lost. */
const HISTORY = `${EPOCH}epoch = epoch .. (redis.call('GET', KEYS[3]) or '')
`

/** KEYS sequence, entries, history. Answers {epoch, seq, now, {slot, text, ...}}: one consistent reading. */
const CONTROL_SNAPSHOT = `#!lua flags=no-writes
${NOW}${HISTORY}
return {epoch, redis.call('GET', KEYS[1]) or '0', string.format('%.0f', now), redis.call('HGETALL', KEYS[2])}
`

/** KEYS sequence, events, history. ARGV last seq seen, most events. Answers {epoch, seq, now, events}: one consistent reading. */
const CONTROL_READ = `#!lua flags=no-writes
${NOW}${HISTORY}
local events = redis.call('XRANGE', KEYS[2], '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])
return {epoch, redis.call('GET', KEYS[1]) or '0', string.format('%.0f', now), events}
`

/**
 * KEYS sequence, entries, expiries, events, history. ARGV floor, bound of the event stream, the name of the history that begins,
 * then per slot: slot, what it must hold ('': nothing), what it holds from now on, when it may be forgotten ('-': never).
 * All or nothing; answers 1, or 0 where a slot has changed. Works out of memory, as revoking does.
 */
const CONTROL_ASSERT = `#!lua flags=allow-oom
${NOW}
for i = 4, #ARGV, 4 do
  if (redis.call('HGET', KEYS[2], ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
for i = 4, #ARGV, 4 do
  local slot, expires = ARGV[i], ARGV[i + 3]
  redis.call('HSET', KEYS[2], slot, ARGV[i + 2])
  if expires == '-' then redis.call('ZREM', KEYS[3], slot) else redis.call('ZADD', KEYS[3], expires, slot) end
end
local last = redis.call('GET', KEYS[1]) or '0'
local seq = string.format('%.0f', math.max(tonumber(last) + 1, tonumber(ARGV[1]), now))
redis.call('SET', KEYS[1], seq)
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[2], seq .. '-0', 'prev', last)
redis.call('SET', KEYS[5], ARGV[3])
return 1
`

/** KEYS mark. ARGV what it must be ('': absent), what it becomes. Answers what it is. Works out of memory, as revoking does. */
const MARK = `#!lua flags=allow-oom
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] and found ~= '' then return found end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
`

/**
 * KEYS lists. ARGV for each of them how many entries, and they (`redis-indexes.ts`). For each that comes, one that lives on goes from the front to the back, and those
 * before it that are over are forgotten: whatever the expiries, no list outgrows its living members for long.
 */
const INDEX_ADD = `#!lua
${NOW}
local function ends(entry)
  return tonumber(string.match(entry, '^%w+'), 36)
end
local function add(key, from, count)
  local turns = math.min(count, redis.call('LLEN', key))
  for _ = 1, turns + 100 + count do
    local first = redis.call('LINDEX', key, 0)
    if not first then break end
    if ends(first) <= now then redis.call('LPOP', key)
    elseif turns > 0 then
      turns = turns - 1
      redis.call('LMOVE', key, key, 'LEFT', 'RIGHT')
    else break end
  end
  local last = 0
  for i = from, from + count - 1 do
    local at = ends(ARGV[i])
    if at > now then redis.call('RPUSH', key, ARGV[i]) end
    last = math.max(last, at)
  end
  local known = redis.call('PEXPIRETIME', key)
  if known ~= -2 and known < last then redis.call('PEXPIREAT', key, string.format('%.0f', last)) end
end
local at = 1
for _, key in ipairs(KEYS) do
  local count = tonumber(ARGV[at])
  add(key, at + 1, count)
  at = at + 1 + count
end
return 1
`

/**
 * KEYS any of the control slot. Writes nothing, but does not say so: a server that is out of memory, read-only, unable to
 * write to its disk or short of replicas refuses it like any script that would write.
 */
const HEARTBEAT = `#!lua
return redis.call('TIME')
`

/** KEYS document. ARGV text, and what it must be now; without the latter it must be absent. */
const DOCUMENT_REPLACE = `#!lua
if redis.call('GET', KEYS[1]) ~= (ARGV[2] or false) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
`

/** KEYS windows. ARGV id, length in ms, then the limit of each. Answers {0, 0}, or which is full and for how many ms. */
const WINDOW_TAKE = `#!lua
${NOW}
local since = '(' .. string.format('%.0f', now - tonumber(ARGV[2]))
for i, key in ipairs(KEYS) do
  if not redis.call('ZSCORE', key, ARGV[1]) and redis.call('ZCOUNT', key, since, '+inf') >= tonumber(ARGV[2 + i]) then
    local oldest = redis.call('ZRANGE', key, since, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
    return {i, tonumber(oldest[2]) + tonumber(ARGV[2]) - now}
  end
end
for _, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - tonumber(ARGV[2])))
  redis.call('ZADD', key, 'NX', string.format('%.0f', now), ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return {0, 0}
`

/** KEYS windows. ARGV length in ms. Answers how many places of each are taken. */
const WINDOW_COUNT = `#!lua flags=no-writes
${NOW}
local since = '(' .. string.format('%.0f', now - tonumber(ARGV[1]))
local counts = {}
for i, key in ipairs(KEYS) do counts[i] = redis.call('ZCOUNT', key, since, '+inf') end
return counts
`

export const SCRIPTS = {
  errandCommit: { lua: COMMIT },
  errandRecord: { lua: APPEND },
  errandClaim: { lua: CLAIM },
  errandControlWrite: { lua: CONTROL_WRITE },
  errandControlSnapshot: { lua: CONTROL_SNAPSHOT },
  errandControlRead: { lua: CONTROL_READ },
  errandRead: { lua: READ },
  errandIndexAdd: { lua: INDEX_ADD },
  errandDocumentReplace: { lua: DOCUMENT_REPLACE },
  errandWindowTake: { lua: WINDOW_TAKE },
  errandWindowCount: { lua: WINDOW_COUNT },
  errandCallBegin: { lua: CALL_BEGIN },
  errandCallEnd: { lua: CALL_END },
  errandHeartbeat: { lua: HEARTBEAT },
  errandControlAssert: { lua: CONTROL_ASSERT },
  errandMark: { lua: MARK },
  errandLogAppend: { lua: LOG_APPEND },
  errandOutboxPending: { lua: OUTBOX_PENDING },
  errandOutboxTrim: { lua: OUTBOX_TRIM },
} as const

export type ScriptName = keyof typeof SCRIPTS
