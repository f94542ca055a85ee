//! The state of many processes, in Redis.
//!
//! Every key begins with the configured prefix, and every step that must be atomic is a script
//! over one key, or over keys of one hash tag, so that a cluster of Redis servers can keep them too. Redis may forget all of
//! it at any moment: nothing here depends on what was there before.

mod check;
mod cluster;
mod dial;
mod facts;
mod held;
mod hub;
mod ledger_scripts;
mod ledgers;
mod link;
mod place;
mod queue_scripts;
mod queues;
mod scripts;
mod sentinels;
mod server;
mod slots;
mod tls;
mod trouble;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, FromRedisValue, cmd};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::facts::{RedisFacts, RedisForm, ServerFacts};
#[cfg(test)]
pub(crate) use self::slots::slot_of;
use self::{dial::Life, hub::Hub, link::Link};
use crate::{
    Budget, Budgets, Caches, IndexEntry, Indexes, Lease, Leases, Signals, Spent, StateConfig, StateError, Subscription,
    lease::new_owner,
};

/// How long a key remembers its last fence after its lease ended. Fences follow the clock of
/// Redis, so this need only be longer than that clock may ever be set back.
const FENCE_KEPT_FOR: Duration = Duration::from_mins(10);

/// The largest number that Redis orders and adds up exactly: it keeps them as floating point.
const LARGEST_EXACT: u64 = 1 << 53;

/// Every kind of state, shared by all processes that use the same server and prefix.
pub struct RedisState {
    link: Arc<Link>,
    hub: Hub,
    prefix: String,
}

impl RedisState {
    /// State in the Redis of `config`, which need not be up: we connect when it is, and again
    /// whenever a connection breaks. Fails only if its settings cannot be used. The tasks that
    /// listen to signals and sentinels, and those of connections, run in `tasks` until `shutdown`.
    pub fn connect(config: &StateConfig, tasks: &TaskTracker, shutdown: CancellationToken) -> Result<Self, StateError> {
        let life = Life { tasks: tasks.clone(), shutdown };
        let link = Arc::new(Link::new(config, &life)?);
        let hub = Hub::start(Arc::clone(&link), format!("{}signal:", config.key_prefix), &life);
        Ok(Self { link, hub, prefix: config.key_prefix.clone() })
    }

    /// Whether Redis answers: of a cluster, every master, and every slot must have one.
    pub async fn ping(&self) -> Result<(), StateError> {
        self.link.ping().await
    }

    async fn query<T: FromRedisValue>(&self, operation: &'static str, command: &Cmd) -> Result<T, StateError> {
        self.link.query(operation, command).await
    }

    fn key(&self, kind: &str, name: &str) -> String {
        format!("{}{kind}:{name}", self.prefix)
    }
}

#[async_trait]
impl Leases for RedisState {
    async fn try_acquire(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, StateError> {
        let owner = new_owner();
        let arguments = (&owner, millis(ttl), millis(FENCE_KEPT_FOR));
        let fence: Option<u64> =
            self.link.invoke("try_acquire", &scripts::TRY_ACQUIRE, &[self.key("lease", key)], arguments).await?;
        Ok(fence.map(|fence| Lease { key: key.to_owned(), fence, owner }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StateError> {
        let arguments = (&lease.owner, millis(ttl), millis(FENCE_KEPT_FOR));
        self.link.invoke("renew", &scripts::RENEW, &[self.key("lease", &lease.key)], arguments).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StateError> {
        let arguments = (&lease.owner, millis(FENCE_KEPT_FOR));
        self.link.invoke("release", &scripts::RELEASE, &[self.key("lease", &lease.key)], arguments).await
    }
}

#[async_trait]
impl Signals for RedisState {
    async fn publish(&self, topic: &str, message: &str) -> Result<(), StateError> {
        self.query("publish", cmd("PUBLISH").arg(self.hub.channel(topic)).arg(message)).await
    }

    async fn subscribe(&self, topic: &str) -> Result<Subscription, StateError> {
        self.hub.subscribe(topic).await
    }
}

#[async_trait]
impl Budgets for RedisState {
    async fn try_spend(&self, key: &str, budget: Budget, amount: u64) -> Result<Spent, StateError> {
        let capacity = budget.capacity.max(1);
        let arguments = (capacity, micros(budget.period), amount.min(capacity));
        let wait_micros: u64 =
            self.link.invoke("try_spend", &scripts::TRY_SPEND, &[self.key("budget", key)], arguments).await?;
        Ok(match wait_micros {
            0 => Spent::Yes,
            wait => Spent::No { retry_after: Duration::from_micros(wait) },
        })
    }
}

#[async_trait]
impl Caches for RedisState {
    async fn find_cached(&self, key: &str) -> Result<Option<Bytes>, StateError> {
        self.query("find_cached", cmd("GET").arg(self.key("cache", key))).await
    }

    async fn cache(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), StateError> {
        let key = self.key("cache", key);
        self.query("cache", cmd("SET").arg(key).arg(&value[..]).arg("PX").arg(millis(ttl))).await
    }

    async fn forget(&self, key: &str) -> Result<(), StateError> {
        self.query("forget", cmd("DEL").arg(self.key("cache", key))).await
    }
}

#[async_trait]
impl Indexes for RedisState {
    async fn insert(&self, index: &str, member: &str, score: u64) -> Result<(), StateError> {
        let score = score.min(LARGEST_EXACT);
        self.query("insert", cmd("ZADD").arg(self.key("index", index)).arg(score).arg(member)).await
    }

    async fn insert_within(
        &self,
        index: &str,
        member: &str,
        score: u64,
        live_from: u64,
        most: u64,
    ) -> Result<bool, StateError> {
        let arguments = (member, score.min(LARGEST_EXACT), live_from.min(LARGEST_EXACT), most);
        self.link.invoke("insert_within", &scripts::INSERT_WITHIN, &[self.key("index", index)], arguments).await
    }

    async fn remove(&self, index: &str, member: &str) -> Result<(), StateError> {
        self.query("remove", cmd("ZREM").arg(self.key("index", index)).arg(member)).await
    }

    async fn range(&self, index: &str, up_to: u64, limit: usize) -> Result<Vec<IndexEntry>, StateError> {
        let mut command = cmd("ZRANGEBYSCORE");
        command.arg(self.key("index", index)).arg("-inf").arg(up_to.min(LARGEST_EXACT)).arg("WITHSCORES");
        // A negative count means all to Redis.
        command.arg("LIMIT").arg(0).arg(i64::try_from(limit).unwrap_or(-1));
        let rows: Vec<(String, u64)> = self.query("range", &command).await?;
        Ok(rows.into_iter().map(|(member, score)| IndexEntry { member, score }).collect())
    }
}

/// Whole milliseconds, at least one: Redis refuses a lifetime of zero. No more than a century, so
/// that adding it to the present stays a number that Redis keeps exactly.
fn millis(span: Duration) -> u64 {
    const CENTURY: u128 = 100 * 365 * 24 * 3_600_000;
    u64::try_from(span.as_millis().clamp(1, CENTURY)).unwrap_or(u64::MAX)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
