//! The steps of the ledgers that must be atomic, as Lua: each over the keys of one account, which
//! are in one slot of a cluster. Numbers are bytes and times, which Lua's floating point holds
//! exactly up to 2^53.
//!
//! The first key is a hash: the totals `bytes` and `files`, a field `c:` and name for each claim,
//! with its bytes and when it ends in us, and a field `s:` and start in ms for each slot of the
//! period, with its bytes. The second is a sorted set of members by time, the third a hash of their
//! bytes. A number that is not given is an empty text.

use std::sync::LazyLock;

use super::scripts::Step;

/// What the steps that change entries begin with: how the account stands.
const STANDING: &str = r"
local time = redis.call('TIME')
local now_micros = time[1] * 1000000 + time[2]
local now = math.floor(now_micros / 1000)

local function text(number) return string.format('%.0f', number) end

-- Without the claim in the field `own`. Forgets what has ended or left the period.
local function standing(own, period)
  local found = { bytes = 0, files = 0, claimed = 0, claims = 0, spent = 0, slots = {} }
  local fields = redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    local kind = string.sub(field, 1, 2)
    if field == 'bytes' or field == 'files' then
      found[field] = tonumber(value)
    elseif kind == 'c:' then
      local bytes, ends_at = string.match(value, '^(%d+):(%d+)$')
      if now_micros >= tonumber(ends_at) then
        redis.call('HDEL', KEYS[1], field)
      elseif field ~= own then
        found.claimed, found.claims = found.claimed + tonumber(bytes), found.claims + 1
      end
    elseif kind == 's:' and period then
      local slot = { start = tonumber(string.sub(field, 3)), bytes = tonumber(value) }
      if slot.start + period <= now then
        redis.call('HDEL', KEYS[1], field)
      else
        found.spent = found.spent + slot.bytes
        table.insert(found.slots, slot)
      end
    end
  end
  return found
end
";

/// Whether something more is within the allowance: 0, -1 for bytes, -2 for files, or how many
/// milliseconds of the period to wait.
const ADMIT: &str = r"
local function wait(found, bytes, most, period)
  local excess = found.spent + found.claimed + bytes - most
  if excess <= 0 then return 0 end
  table.sort(found.slots, function(a, b) return a.start < b.start end)
  for _, slot in ipairs(found.slots) do
    excess = excess - slot.bytes
    if excess <= 0 then return math.max(1, math.min(slot.start + period - now, period)) end
  end
  return period
end

local function admit(found, bytes, most)
  if most.bytes and found.bytes + found.claimed + bytes > most.bytes then return -1 end
  if most.files and found.files + found.claims + 1 > most.files then return -2 end
  if most.per_period then return wait(found, bytes, most.per_period, most.period) end
  return 0
end

local function allowance(from)
  return {
    bytes = tonumber(ARGV[from]), files = tonumber(ARGV[from + 1]), per_period = tonumber(ARGV[from + 2]),
    period = tonumber(ARGV[from + 3]), slot = tonumber(ARGV[from + 4]),
  }
end
";

/// What the steps that change entries do to the totals. Redis may have forgotten one key of the
/// three: then the others are of no use, and entering all again would not count it.
const ENTRIES: &str = r"
local function forget_unless_whole(found)
  if redis.call('ZCARD', KEYS[2]) == found.files and redis.call('HLEN', KEYS[3]) == found.files then return end
  redis.call('HDEL', KEYS[1], 'bytes', 'files')
  redis.call('DEL', KEYS[2], KEYS[3])
  found.bytes, found.files = 0, 0
end

local function keep_totals(bytes, files)
  if files == 0 then
    redis.call('HDEL', KEYS[1], 'bytes', 'files')
  else
    redis.call('HSET', KEYS[1], 'bytes', text(bytes), 'files', text(files))
  end
end
";

/// Over the first key alone. Answers as `admit` does.
pub(super) static CLAIM: LazyLock<Step> = LazyLock::new(|| {
    let step = r"
local claim, bytes, lifetime, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), allowance(4)
local refused = admit(standing(claim, most.period), bytes, most)
if refused ~= 0 then return refused end
redis.call('HSET', KEYS[1], claim, text(bytes) .. ':' .. text(now_micros + lifetime * 1000))
return 0
";
    Step::new(&[STANDING, ADMIT, step].concat())
});

/// Answers as `admit` does.
pub(super) static ENTER: LazyLock<Step> = LazyLock::new(|| {
    let step = r"
local member, bytes, at, claim, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], allowance(5)
local found = standing(claim, most.period)
forget_unless_whole(found)
local earlier = tonumber(redis.call('HGET', KEYS[3], member) or nil)
local start
if earlier then
  found.bytes = found.bytes - earlier
  most = { bytes = bytes > earlier and most.bytes or nil }
elseif most.period then
  start = math.min(at, now)
  start = start - start % most.slot
  if start + most.period <= now then start, most.per_period = nil, nil end
end
local refused = admit(found, bytes, most)
if refused ~= 0 then return refused end
if start then redis.call('HINCRBY', KEYS[1], 's:' .. text(start), text(bytes)) end
redis.call('HDEL', KEYS[1], claim)
redis.call('ZADD', KEYS[2], text(at), member)
redis.call('HSET', KEYS[3], member, text(bytes))
keep_totals(found.bytes + bytes, found.files + (earlier and 0 or 1))
return 0
";
    Step::new(&[STANDING, ADMIT, ENTRIES, step].concat())
});

/// No answer.
pub(super) static STRIKE: LazyLock<Step> = LazyLock::new(|| {
    let step = r"
local found = standing('', nil)
forget_unless_whole(found)
local bytes = redis.call('HGET', KEYS[3], ARGV[1])
if not bytes then return end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
keep_totals(found.bytes - tonumber(bytes), found.files - 1)
";
    Step::new(&[STANDING, ENTRIES, step].concat())
});

/// Rows of member, bytes and time. No answer.
pub(super) static ENTER_ALL: LazyLock<Step> = LazyLock::new(|| {
    let step = r"
local found = standing('', nil)
forget_unless_whole(found)
for i = 1, #ARGV, 3 do
  local member, bytes, at = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local earlier = tonumber(redis.call('HGET', KEYS[3], member) or nil)
  if earlier then
    found.bytes = found.bytes - earlier
    at = math.max(at, tonumber(redis.call('ZSCORE', KEYS[2], member)))
  else
    found.files = found.files + 1
  end
  found.bytes = found.bytes + bytes
  redis.call('ZADD', KEYS[2], text(at), member)
  redis.call('HSET', KEYS[3], member, text(bytes))
end
keep_totals(found.bytes, found.files)
";
    Step::new(&[STANDING, ENTRIES, step].concat())
});

/// Over the second key. Rows of member and time. Answers how many were moved.
pub(super) static MOVE_UP: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
local moved = 0
for i = 1, #ARGV, 2 do
  local earlier = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if earlier and tonumber(earlier) < tonumber(ARGV[i + 1]) then
    redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i])
    moved = moved + 1
  end
end
return moved
",
    )
});

/// 1 if the member was struck out.
pub(super) static STRIKE_UNLESS_LATER: LazyLock<Step> = LazyLock::new(|| {
    let step = r"
local found = standing('', nil)
forget_unless_whole(found)
local bytes, at = redis.call('HGET', KEYS[3], ARGV[1]), redis.call('ZSCORE', KEYS[2], ARGV[1])
if not bytes or not at or tonumber(at) > tonumber(ARGV[2]) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
keep_totals(found.bytes - tonumber(bytes), found.files - 1)
return 1
";
    Step::new(&[STANDING, ENTRIES, step].concat())
});

/// Over the second key. Answers with the time of each member, or nothing in its place.
pub(super) static TIMES: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
local answer = {}
for i = 1, #ARGV do answer[i] = redis.call('ZSCORE', KEYS[1], ARGV[i]) end
return answer
",
    )
});

/// Over the second and third key. Answers with member, bytes and time, one after the other.
pub(super) static ENTRIES_BY_TIME: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
local rows, answer = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'WITHSCORES'), {}
for i = 1, #rows, 2 do
  local bytes = redis.call('HGET', KEYS[2], rows[i])
  if bytes then
    table.insert(answer, rows[i])
    table.insert(answer, bytes)
    table.insert(answer, rows[i + 1])
  end
end
return answer
",
    )
});
