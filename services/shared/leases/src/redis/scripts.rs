//! The steps that must be atomic, as Lua, by the clock of Redis: each of these over one key; those
//! of `ledger_scripts` over the keys of one account. Numbers are microseconds, which Lua's floating
//! point holds exactly until the year 2255.
//!
//! Each may run twice for one call, when the answer to the first was lost.

use std::sync::LazyLock;

use redis::Script;

/// A script and the hash by which Redis knows it once it ran.
pub(super) struct Step {
    pub(super) source: String,
    pub(super) hash: String,
}

impl Step {
    pub(super) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), hash: Script::new(source).get_hash().to_owned() }
    }
}

/// A hash: `owner` and `until` of the lease, and the last `fence`, which outlives it.
pub(super) static TRY_ACQUIRE: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
local owner, ttl, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held = redis.call('HMGET', KEYS[1], 'owner', 'until', 'fence')
if held[1] and held[1] ~= owner and now < tonumber(held[2]) then return false end
local fence = tonumber(held[3] or 0)
if held[1] ~= owner then fence = math.max(fence + 1, now) end
local fence_text = string.format('%.0f', fence)
redis.call('HSET', KEYS[1], 'owner', owner, 'until', string.format('%.0f', now + ttl * 1000), 'fence', fence_text)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl + kept))
return fence_text
",
    )
});

/// 1 if the lease was still ours.
pub(super) static RENEW: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
local owner, ttl, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if held[1] ~= owner or now >= tonumber(held[2]) then return 0 end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ttl * 1000))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl + kept))
return 1
",
    )
});

/// Keeps the fence for a while.
pub(super) static RELEASE: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'owner', 'until')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
",
    )
});

/// The time at which the bucket will be full (GCRA); the key expires then. Answers with the
/// microseconds to wait, 0 if it was spent.
pub(super) static TRY_SPEND: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
local capacity, period, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or now), now), now + period)
local cost = period * amount / capacity
local wait = full_at - now + cost - period
if wait > 0 then return math.ceil(wait) end
if cost > 0 then
  full_at = full_at + cost
  redis.call('SET', KEYS[1], string.format('%.2f', full_at), 'PX', string.format('%.0f', math.ceil((full_at - now) / 1000)))
end
return 0
",
    )
});

/// 1 if the member is listed now.
pub(super) static INSERT_WITHIN: LazyLock<Step> = LazyLock::new(|| {
    Step::new(
        r"
local member, score, live_from, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. live_from)
local others = redis.call('ZCARD', KEYS[1])
if redis.call('ZSCORE', KEYS[1], member) then others = others - 1 end
if others >= most then return 0 end
redis.call('ZADD', KEYS[1], score, member)
return 1
",
    )
});
