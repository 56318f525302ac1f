/**
 * How a record of text fields lies in one Redis hash, as Lua. Redis keeps a hash in one block of memory as long as no name and no
 * value in it is over 64 bytes (`hash-max-listpack-value`); the first that is makes a table of it, which takes half as much
 * again. So longer values are kept in pieces, each in a field named by a number, and where they are stands in the value's own
 * field, behind a NUL. What is so long that it makes a large hash anyway is kept whole.
 *
 * Names that could be mistaken for these are kept behind `\0-`, and values behind pieces: any text is a name, any text a value.
 */

const PIECE_BYTES = 64
const PIECED_BYTES_MAX = 4_096

/**
 * `get` and `put` of a field's whole value. Beside the fields: `\0n`, the number of the next piece, and `\0c`, the id of the
 * commit that began the record.
 */
export const FIELDS = `
local function named(field)
  if string.byte(field) == 0 or string.match(field, '^%d+$') then return '\\0-' .. field end
  return field
end
local function pieces(stored)
  if not stored or string.byte(stored) ~= 0 then return nil end
  local from, count = string.match(stored, '^%z(%d+):(%d+)$')
  local names = {}
  for i = 1, tonumber(count) do names[i] = string.format('%.0f', tonumber(from) + i - 1) end
  return names
end
local function whole(key, stored)
  local names = pieces(stored)
  return names and table.concat(redis.call('HMGET', key, unpack(names))) or stored
end
local function get(key, field)
  return whole(key, redis.call('HGET', key, named(field)))
end
local function put(key, field, value)
  local name = named(field)
  local old = pieces(redis.call('HGET', key, name))
  if old then redis.call('HDEL', key, unpack(old)) end
  local size = #value > ${PIECED_BYTES_MAX} and #value or ${PIECE_BYTES}
  if #value <= size and string.byte(value) ~= 0 then
    redis.call('HSET', key, name, value)
    return
  end
  local count = math.ceil(#value / size)
  local from = redis.call('HINCRBY', key, '\\0n', count) - count
  local fields = {name, '\\0' .. from .. ':' .. count}
  for i = 0, count - 1 do
    fields[#fields + 1] = string.format('%.0f', from + i)
    fields[#fields + 1] = string.sub(value, i * size + 1, (i + 1) * size)
  end
  redis.call('HSET', key, unpack(fields))
end
`

/** KEYS session. ARGV '1' for all fields, or '0' and names. Answers nil where there is no record; the values, or {name, value, ...}. */
export const READ = `#!lua flags=no-writes
${FIELDS}
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local found = {}
if ARGV[1] == '0' then
  for i = 2, #ARGV do found[i - 1] = get(KEYS[1], ARGV[i]) end
  return found
end
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  local name = flat[i]
  local own = string.byte(name) == 0
  if own and string.byte(name, 2) == 45 then name, own = string.sub(name, 3), false
  elseif string.match(name, '^%d+$') then own = true end
  if not own then
    found[#found + 1] = name
    found[#found + 1] = whole(KEYS[1], flat[i + 1])
  end
end
return found
`
