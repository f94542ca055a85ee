//! What a Redis server says of itself, and a lease for trial: for `heliograph doctor`.

use std::time::Duration;

use redis::cmd;

use super::RedisState;
use crate::{Leases, StateError};

/// What a Redis server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RedisFacts {
    /// Such as `7.0.15`; empty if it does not say.
    pub version: String,
    /// What it does when its memory is full, such as `noeviction`; empty if it does not say.
    pub eviction: String,
}

impl RedisFacts {
    /// The first number of the version.
    pub fn major_version(&self) -> Option<u32> {
        self.version.split('.').next()?.parse().ok()
    }

    /// Whether it may forget what has no end of its own.
    pub fn forgets_anything(&self) -> bool {
        self.eviction.starts_with("allkeys-")
    }

    fn read(info: &str) -> Self {
        let find = |name: &str| {
            let mut lines = info.lines().filter_map(|line| line.trim().split_once(':'));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        Self { version: find("redis_version"), eviction: find("maxmemory_policy") }
    }
}

impl RedisState {
    /// What the server says of itself (`INFO`).
    pub async fn facts(&self) -> Result<RedisFacts, StateError> {
        let info: String = self.query("info", &cmd("INFO")).await?;
        Ok(RedisFacts::read(&info))
    }

    /// Takes a lease, is refused it a second time, and gives it back; false if two were given
    /// out. Leaves nothing behind, not even its fence.
    pub async fn try_lease(&self, key: &str) -> Result<bool, StateError> {
        const TTL: Duration = Duration::from_secs(10);
        let first = self.try_acquire(key, TTL).await?;
        let second = self.try_acquire(key, TTL).await?;
        let released = match &first {
            Some(lease) => self.release(lease).await,
            None => Ok(()),
        };
        self.query::<()>("forget", cmd("DEL").arg(self.key("lease", key))).await?;
        released?;
        Ok(first.is_some() && second.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_little_is_known_little_of() {
        let full = RedisFacts::read("# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory_policy:allkeys-lru\r\n");
        let nothing = RedisFacts::read("");

        assert_eq!((full.major_version(), full.forgets_anything()), (Some(7), true));
        assert_eq!((nothing.major_version(), nothing.forgets_anything()), (None, false));
    }
}
