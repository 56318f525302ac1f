/** The scripts of `redis-scripts.ts` that the log is made with: appending to it, and reading and trimming the outboxes behind it. */

/**
 * KEYS head, then pieces. ARGV what the head must be ('-': there is none; '+' and the head), the head from now on, then per piece:
 * 'put', 'add' or 'remove', bytes. Answers 1, or 0 where the head is another.
 */
export const LOG_APPEND = `#!lua
local head = redis.call('GET', KEYS[1])
if (head and '+' .. head or '-') ~= ARGV[1] then return 0 end
for i = 2, #KEYS do
  local how, bytes = ARGV[2 * i - 1], ARGV[2 * i]
  if how == 'add' then redis.call('APPEND', KEYS[i], bytes)
  elseif how == 'put' then redis.call('SET', KEYS[i], bytes)
  else redis.call('DEL', KEYS[i]) end
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
`

/**
 * KEYS outbox, what was trimmed, and the same of others. ARGV how the names begin of records whose text is not asked for ('': none),
 * then of each outbox: id to begin with, most entries. Answers of each {entries, '<id> <name>' of the last that was trimmed}; of an
 * entry {id, name, text}, without a text where it is not asked for.
 */
export const OUTBOX_PENDING = `#!lua flags=no-writes
local own = ARGV[1]
local answer = {}
for k = 1, #KEYS, 2 do
  local entries = {}
  for i, entry in ipairs(redis.call('XRANGE', KEYS[k], ARGV[k + 1], '+', 'COUNT', ARGV[k + 2])) do
    local name = entry[2][4] or ''
    local isOwn = own ~= '' and string.sub(name, 1, #own) == own
    entries[i] = {entry[1], name, not isOwn and entry[2][2] or nil}
  end
  answer[(k + 1) / 2] = {entries, redis.call('HGET', KEYS[k + 1], 'last') or ''}
end
return answer
`

/**
 * KEYS outbox, what was trimmed, contents, their age. ARGV id and name of the last record that goes, how many go at once, how long
 * in ms it is remembered of a broker that its record went, by how many ms texts must be older than the oldest record that is left
 * to go with it. Answers 1: all have gone; 0: there may be more; -1: the outbox does not have that record. Works out of memory: it
 * makes room.
 *
 * Kept of what went: the last record, and of each broker its last one, so that neither is taken for lost (`redis-shards.ts`).
 */
export const OUTBOX_TRIM = `#!lua flags=allow-oom
local function forget(text, id)
  local field = string.match(text, '^{"id":"(dec_[%w_%-]+)"')
  field = field and 'at:' .. field
  local known = field and redis.call('HGET', KEYS[3], field)
  if not known then return end
  local left = {}
  for one in string.gmatch(known, '%S+') do if one ~= id then left[#left + 1] = one end end
  if #left > 0 then redis.call('HSET', KEYS[3], field, table.concat(left, ' ')) return end
  redis.call('HDEL', KEYS[3], field)
  redis.call('ZREM', KEYS[4], field)
end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function forgetTexts()
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  local before = (first and tonumber(string.match(first[1], '^%d+')) or now) - tonumber(ARGV[5])
  local gone = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. string.format('%.0f', before * 1000), 'LIMIT', 0, ARGV[3])
  if #gone > 0 then
    redis.call('HDEL', KEYS[3], unpack(gone))
    redis.call('ZREM', KEYS[4], unpack(gone))
  end
  return #gone == tonumber(ARGV[3]) and 0 or 1
end
local last = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not last and redis.call('HGET', KEYS[2], 'last') == ARGV[1] .. ' ' .. ARGV[2] then return forgetTexts() end
if not last or (last[2][4] or '') ~= ARGV[2] then return -1 end
local kept = redis.call('HGETALL', KEYS[2])
for i = 1, #kept, 2 do
  local at = string.match(kept[i + 1], '^(%d+) ')
  if string.sub(kept[i], 1, 3) == 'by:' and tonumber(at) < now - tonumber(ARGV[4]) then redis.call('HDEL', KEYS[2], kept[i]) end
end
local gone = redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', ARGV[3])
local brokers = {}
for _, entry in ipairs(gone) do
  local id, name = entry[1], entry[2][4] or ''
  forget(entry[2][2], id)
  local broker = string.match(name, '^[^.]+')
  if broker then brokers[broker] = id .. ' ' .. name end
end
for broker, record in pairs(brokers) do
  redis.call('HSET', KEYS[2], 'by:' .. broker, string.format('%.0f', now) .. ' ' .. record)
end
local final = gone[#gone]
redis.call('HSET', KEYS[2], 'last', final[1] .. ' ' .. (final[2][4] or ''))
local ms, n = string.match(final[1], '^(%d+)-(%d+)$')
redis.call('XTRIM', KEYS[1], 'MINID', ms .. '-' .. string.format('%.0f', tonumber(n) + 1))
return math.min(forgetTexts(), final[1] == ARGV[1] and 1 or 0)
`
