//! The steps of the queues that must be atomic, as Lua: over the stream of a queue, and that of what
//! was set aside, which are in one slot of a cluster.
//!
//! A job is an entry with the field `job`. It is removed when it is done and never before, so all
//! that the group has not got yet, or has pending, is there. Redis may forget the group: what needs
//! it makes it anew, from the first entry on.

use std::sync::LazyLock;

use super::scripts::Step;

/// What steps begin with that look at what was taken.
const PENDING: &str = r"
local stream, group = KEYS[1], ARGV[1]

-- What XPENDING says, or nothing without the group.
local function pending(...)
  local answer = redis.pcall('XPENDING', stream, group, ...)
  if not answer.err then return answer end
  if string.find(answer.err, 'NOGROUP', 1, true) then return {} end
  error(answer.err)
end
";

/// And then, of what one consumer holds.
const OWN: &str = r"
local consumer = ARGV[2]

-- How often a job was taken, if it is ours.
local function tries(id)
  local found = pending(id, id, 1, consumer)[1]
  return found and found[4]
end
";

fn step(parts: &[&str]) -> Step {
    Step::new(&parts.concat())
}

/// The jobs that wait, this one among them; nil if there is no room.
pub(super) static ADD: LazyLock<Step> = LazyLock::new(|| {
    step(&[
        PENDING,
        r"
local length = redis.call('XLEN', stream)
if length >= tonumber(ARGV[3]) then return false end
redis.call('XADD', stream, '*', 'job', ARGV[2])
return length + 1 - (pending()[1] or 0)
",
    ])
});

/// Rows of id, job, number of tries, and whether its holder is gone.
pub(super) static TAKE: LazyLock<Step> = LazyLock::new(|| {
    step(&[
        PENDING,
        r"
local consumer, most, unheard_for, nobody = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local taken = {}
for _, old in ipairs(pending('IDLE', unheard_for, '-', '+', most)) do
  local entry = redis.call('XCLAIM', stream, group, consumer, 0, old[1])[1]
  if entry then
    local is_of_one_who_is_gone = old[2] ~= nobody and 1 or 0
    taken[#taken + 1] = { entry[1], entry[2][2], old[4] + 1, is_of_one_who_is_gone }
  else
    -- Somebody has removed the entry by hand.
    redis.call('XACK', stream, group, old[1])
  end
end
if #taken == most then return taken end

local function read()
  return redis.pcall('XREADGROUP', 'GROUP', group, consumer, 'COUNT', most - #taken, 'STREAMS', stream, '>')
end
local new = read()
if new and new.err and string.find(new.err, 'NOGROUP', 1, true) then
  redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  new = read()
end
if new and new.err then return new end
for _, entry in ipairs(new and new[1][2] or {}) do
  taken[#taken + 1] = { entry[1], entry[2][2], 1, 0 }
end
return taken
",
    ])
});

/// How many of the jobs are ours.
pub(super) static HOLD: LazyLock<Step> = LazyLock::new(|| {
    step(&[
        PENDING,
        OWN,
        r"
local held = 0
for place = 3, #ARGV do
  if tries(ARGV[place]) then
    redis.call('XCLAIM', stream, group, consumer, 0, ARGV[place], 'JUSTID')
    held = held + 1
  end
end
return held
",
    ])
});

/// 1 if the job was there.
pub(super) static FINISH: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
return redis.call('XDEL', KEYS[1], ARGV[2])
",
    )
});

/// 1 if the job was ours.
pub(super) static GIVE_BACK: LazyLock<Step> = LazyLock::new(|| {
    step(&[
        PENDING,
        OWN,
        r"
local id, unheard_for, is_begun, nobody = ARGV[3], ARGV[4], ARGV[5] == '1', ARGV[6]
local tried = tries(id)
if not tried then return 0 end
if not is_begun then tried = math.max(tried - 1, 0) end
redis.call('XCLAIM', stream, group, nobody, 0, id, 'IDLE', unheard_for, 'RETRYCOUNT', tried, 'JUSTID')
return 1
",
    ])
});

/// 1 if the job was ours.
pub(super) static SET_ASIDE: LazyLock<Step> = LazyLock::new(|| {
    step(&[
        PENDING,
        OWN,
        r"
local id, reason, most = ARGV[3], ARGV[4], ARGV[5]
local tried = tries(id)
local entry = tried and redis.call('XRANGE', stream, id, id)[1]
if not entry then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '=', most, '*', 'job', entry[2][2], 'reason', reason, 'tries', tried)
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
return 1
",
    ])
});

/// Rows of id, job, reason and number of tries.
pub(super) static LIST_ASIDE: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
local rows = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])) do
  rows[#rows + 1] = { entry[1], entry[2][2], entry[2][4], entry[2][6] }
end
return rows
",
    )
});

/// How many jobs are in the queue again.
pub(super) static RETRY_ASIDE: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
local stream, aside = KEYS[1], KEYS[2]
local room = tonumber(ARGV[3]) - redis.call('XLEN', stream)
if room <= 0 then return 0 end
-- Of those that are aside there are few.
local entries = redis.call('XRANGE', aside, ARGV[1], ARGV[2], 'COUNT', room)
for _, entry in ipairs(entries) do
  redis.call('XADD', stream, '*', 'job', entry[2][2])
  redis.call('XDEL', aside, entry[1])
end
return #entries
",
    )
});

/// How many jobs there are, how many were taken, the age of the oldest in ms, how many are aside.
pub(super) static MEASURE: LazyLock<Step> = LazyLock::new(|| {
    step(&[
        PENDING,
        r"
local age = 0
local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
if oldest then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  age = math.max(now - tonumber(string.match(oldest[1], '^%d+')), 0)
end
return { redis.call('XLEN', stream), pending()[1] or 0, age, redis.call('XLEN', KEYS[2]) }
",
    ])
});

/// How many consumers were forgotten.
pub(super) static FORGET_CONSUMERS: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
local stream, group, unheard_for = KEYS[1], ARGV[1], tonumber(ARGV[2])
local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
-- Without the queue or its group there are none.
if consumers.err then return 0 end
local forgotten = 0
for _, facts in ipairs(consumers) do
  local consumer = {}
  for place = 1, #facts, 2 do consumer[facts[place]] = facts[place + 1] end
  if consumer.pending == 0 and consumer.idle >= unheard_for then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer.name)
    forgotten = forgotten + 1
  end
end
return forgotten
",
    )
});
