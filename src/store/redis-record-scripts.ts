/** The scripts of `redis-scripts.ts` that write records: a session's commits, and records that no commit carries. */
import { FIELDS } from './redis-record-fields.ts'

/** The decimal integer in a text, or nil. `commit-rules.ts` holds the same in TypeScript. */
const INTEGER = `
local function integer(text)
  local digits = text and string.match(text, '^%-?(%d+)$')
  if not digits or #digits > 16 then return nil end
  local value = tonumber(text)
  if value > 9007199254740991 or value < -9007199254740991 then return nil end
  return value
end
`

/** A refusal, before the first write: `redis-connection.ts` knows it by its first word. */
export const FULL = 'OUTBOXFULL'
const ASSERT_ROOM = `
local function full(outbox, bound, age, contentsBound)
  local isFull = redis.call('XLEN', outbox) >= tonumber(bound)
  if not isFull and age then isFull = redis.call('ZCARD', age) >= tonumber(contentsBound) end
  return isFull and redis.error_reply('${FULL} the outbox takes no more records')
end
`

/**
 * A record, found again by its id, and what it brings with it, kept as `commit-rules.ts` has checked it. What is kept is never
 * older than the record that names it: it is forgotten by its age (`OUTBOX_TRIM`). `name`: of the record, see `outbox-position.ts`. `from`: where in ARGV digests and texts begin.
 */
const RECORD = `
local function record(outbox, contents, age, text, name, from, count)
  local t = redis.call('TIME')
  local at = tonumber(t[1]) * 1000000 + tonumber(t[2])
  local position = ''
  if text then
    position = redis.call('XADD', outbox, '*', 'record', text, 'name', name)
    at = math.max(at, tonumber(string.match(position, '^%d+')) * 1000)
    local id = string.match(text, '^{"id":"(dec_[%w_%-]+)"')
    if id then
      local known = redis.call('HGET', contents, 'at:' .. id)
      redis.call('HSET', contents, 'at:' .. id, known and known .. ' ' .. position or position)
      redis.call('ZADD', age, string.format('%.0f', at), 'at:' .. id)
    end
  end
  for i = 0, count - 1 do
    redis.call('HSETNX', contents, ARGV[from + 2 * i], ARGV[from + 2 * i + 1])
    redis.call('ZADD', age, string.format('%.0f', at), ARGV[from + 2 * i])
  end
  return position
end
`

/**
 * KEYS session, repeat marker, outbox, contents, their age. ARGV repeat ms, expiry, outbox bound, '1' + audit or '0' + '',
 * number of checks, contents bound, number of contents, commit id, record name, then per content: digest, text; per check: kind, field,
 * count, values; per operation: kind, field, value.
 * Answers {'committed'|'repeated'|'failed'|'integer', index}; committed: the place of its record in the outbox, or ''.
 *
 * The commit that begins a record is remembered in it, where that lives as long as a marker would: most sessions have no other
 * commit, and a key of its own for each would take a sixth of what a session takes.
 */
export const COMMIT = `#!lua
${INTEGER}${ASSERT_ROOM}${RECORD}${FIELDS}
if redis.call('HGET', KEYS[1], '\\0c') == ARGV[9] or redis.call('EXISTS', KEYS[2]) == 1 then return {'repeated', 0} end
local contents = tonumber(ARGV[8])
local at = 10 + 2 * contents
local checks = tonumber(ARGV[6])
for i = 1, checks do
  local kind, field, count = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local text = get(KEYS[1], field)
  local holds = false
  if kind == 'absent' then holds = not text
  elseif kind == 'present' then holds = not not text
  elseif kind == 'oneOf' then
    for j = 1, count do if text == ARGV[at + 3 + j] then holds = true end end
  elseif kind == 'above' then
    local value = integer(text)
    holds = value ~= nil and value > tonumber(ARGV[at + 4])
  elseif kind == 'below' then
    local value = integer(text)
    holds = not text or (value ~= nil and value < tonumber(ARGV[at + 4]))
  end
  if not holds then return {'failed', i - 1} end
  at = at + 3 + count
end
local order, changes = {}, {}
local operation = 0
while ARGV[at + 1] do
  local kind, field, value = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  if changes[field] == nil then order[#order + 1] = field end
  if kind == 'increment' then
    local old = integer(changes[field] or get(KEYS[1], field) or '0')
    local sum = old and old + tonumber(value)
    if not sum or sum > 9007199254740991 or sum < -9007199254740991 then return {'integer', operation} end
    value = string.format('%.0f', sum)
  end
  changes[field] = value
  operation = operation + 1
  at = at + 3
end
if ARGV[4] == '1' or contents > 0 then
  local refusal = full(KEYS[3], ARGV[3], KEYS[5], ARGV[7])
  if refusal then return refusal end
end
local expires = tonumber(ARGV[2])
local known = redis.call('PEXPIRETIME', KEYS[1])
for _, field in ipairs(order) do put(KEYS[1], field, changes[field]) end
local t = redis.call('TIME')
local lasts = expires - tonumber(ARGV[1]) > tonumber(t[1]) * 1000 + 1000
if known == -2 and #order > 0 and lasts and #ARGV[9] <= 64 then redis.call('HSET', KEYS[1], '\\0c', ARGV[9])
else redis.call('SET', KEYS[2], '1', 'PX', ARGV[1]) end
if known < expires - 1 then redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', expires - 1)) end
return {'committed', record(KEYS[3], KEYS[4], KEYS[5], ARGV[4] == '1' and ARGV[5], ARGV[10], 11, contents)}
`

/**
 * KEYS call, calls due, outbox. ARGV text, when its time is up, its key, outbox bound. Answers the text and the end that are there
 * now.
 */
export const CALL_BEGIN = `#!lua
${ASSERT_ROOM}
local known = redis.call('HMGET', KEYS[1], 'text', 'end')
if known[1] then return known end
local refusal = full(KEYS[3], ARGV[4])
if refusal then return refusal end
redis.call('HSET', KEYS[1], 'text', ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
return {ARGV[1], false}
`

/**
 * KEYS call, calls due, outbox, contents, their age. ARGV what its end must be now ('-': it has none; '+' and the end), the end,
 * expiry, its key, '1' + audit or '0' + '', outbox bound, contents bound, record name, then
 * per content: digest, text. Answers the text and the end that are there now, '1' where this wrote it, and the place of its record in the outbox, or ''; nil: there is no such call.
 */
export const CALL_END = `#!lua
${ASSERT_ROOM}${RECORD}
local known = redis.call('HMGET', KEYS[1], 'text', 'end')
if not known[1] then return false end
if (known[2] and '+' .. known[2] or '-') ~= ARGV[1] then return {known[1], known[2], '0', ''} end
if ARGV[5] == '1' then
  local refusal = full(KEYS[3], ARGV[7], KEYS[5], ARGV[8])
  if refusal then return refusal end
end
redis.call('HSET', KEYS[1], 'end', ARGV[2])
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(ARGV[3]) - 1))
redis.call('ZREM', KEYS[2], ARGV[4])
local position = ''
if ARGV[5] == '1' then position = record(KEYS[3], KEYS[4], KEYS[5], ARGV[6], ARGV[9], 10, (#ARGV - 9) / 2) end
return {known[1], ARGV[2], '1', position}
`

/** KEYS outbox, contents, their age. ARGV outbox bound, record, contents bound, record name, then per content: digest, text. Answers its place. */
export const APPEND = `#!lua
${ASSERT_ROOM}${RECORD}
local refusal = full(KEYS[1], ARGV[1], KEYS[3], ARGV[3])
if refusal then return refusal end
return record(KEYS[1], KEYS[2], KEYS[3], ARGV[2], ARGV[4], 5, (#ARGV - 4) / 2)
`
