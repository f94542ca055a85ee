//! What Redis says of itself, and a lease for trial: for `heliograph doctor`.

use std::time::Duration;

use redis::{FromRedisValue, Value, cmd, from_redis_value};

use super::{RedisState, cluster::Cluster, link::Servers, sentinels::Sentinels};
use crate::{Leases, StateError};

/// What Redis says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RedisFacts {
    /// Whether the connections to it are encrypted.
    pub is_tls: bool,
    /// How the servers stand to each other.
    pub form: RedisForm,
    /// The servers: one; or the master that the sentinels name; or all of a cluster.
    pub servers: Vec<ServerFacts>,
}

/// How the servers stand to each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RedisForm {
    /// One server.
    #[default]
    Single,
    /// Sentinels, each with the master that it names or why it names none.
    Sentinels(Vec<(String, Result<String, String>)>),
    /// A cluster, and how many of its slots no server has.
    Cluster {
        /// Keys that fall into these can be neither read nor written.
        uncovered_slots: usize,
    },
}

/// What one server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerFacts {
    /// Where it is.
    pub address: String,
    /// Such as `7.0.15`; empty if it does not say.
    pub version: String,
    /// Whether it takes writes.
    pub is_master: bool,
    /// The replicas that it has now.
    pub replicas: usize,
    /// What it does when its memory is full, such as `noeviction`; empty if it does not say.
    pub eviction: String,
}

impl RedisFacts {
    /// Those of the servers that take writes.
    pub fn masters(&self) -> impl Iterator<Item = &ServerFacts> {
        self.servers.iter().filter(|server| server.is_master)
    }
}

impl ServerFacts {
    /// The first number of the version.
    pub fn major_version(&self) -> Option<u32> {
        self.version.split('.').next()?.parse().ok()
    }

    /// Whether it may forget what has no end of its own.
    pub fn forgets_anything(&self) -> bool {
        self.eviction.starts_with("allkeys-")
    }

    fn read(address: String, info: &str) -> Self {
        let find = |name: &str| {
            let mut lines = info.lines().filter_map(|line| line.trim().split_once(':'));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        Self {
            address,
            version: find("redis_version"),
            is_master: find("role") != "slave",
            replicas: find("connected_slaves").parse().unwrap_or(0),
            eviction: find("maxmemory_policy"),
        }
    }
}

impl RedisState {
    /// What Redis says of itself (`INFO`), server by server.
    pub async fn facts(&self) -> Result<RedisFacts, StateError> {
        let is_tls = self.link.is_tls;
        match &self.link.servers {
            Servers::Single(_, address) => {
                let servers = vec![self.info(address.to_string()).await?];
                Ok(RedisFacts { is_tls, form: RedisForm::Single, servers })
            }
            Servers::Master(server, sentinels) => {
                let form = RedisForm::Sentinels(self.survey(sentinels).await);
                let mut facts = self.info(String::new()).await?;
                facts.address = server.connected_to().map(|address| address.to_string()).unwrap_or_default();
                Ok(RedisFacts { is_tls, form, servers: vec![facts] })
            }
            Servers::Cluster(cluster) => {
                let (form, servers) = self.cluster_facts(cluster).await?;
                Ok(RedisFacts { is_tls, form, servers })
            }
        }
    }

    async fn info(&self, address: String) -> Result<ServerFacts, StateError> {
        let info: String = self.query("info", &cmd("INFO")).await?;
        Ok(ServerFacts::read(address, &info))
    }

    async fn survey(&self, sentinels: &Sentinels) -> Vec<(String, Result<String, String>)> {
        let answers = sentinels.survey(self.link.deadline()).await.into_iter();
        answers
            .map(|(sentinel, answer)| {
                let named = answer.map_err(|trouble| trouble.to_string()).and_then(|named| {
                    if named.is_down {
                        return Err(format!("it says that {} is down", named.master));
                    }
                    Ok(named.master.to_string())
                });
                (sentinel.to_string(), named)
            })
            .collect()
    }

    async fn cluster_facts(&self, cluster: &Cluster) -> Result<(RedisForm, Vec<ServerFacts>), StateError> {
        let told = |trouble| self.link.error("info", trouble);
        let deadline = self.link.deadline();
        let map = cluster.current_map(deadline).await.map_err(told)?;
        let question = cmd("INFO");
        let each = map.servers().into_iter().map(async |server| {
            let answer: Value =
                deadline.bound(cluster.ask(server, &question, deadline)).await.flatten().map_err(told)?;
            let info: String = read(answer).map_err(|reason| self.link.error("info", reason))?;
            Ok::<_, StateError>(ServerFacts::read(server.to_string(), &info))
        });
        let servers = futures_util::future::try_join_all(each).await?;
        Ok((RedisForm::Cluster { uncovered_slots: map.uncovered() }, servers))
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

fn read<T: FromRedisValue>(value: Value) -> Result<T, String> {
    from_redis_value(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_little_is_known_little_of() {
        let full = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory_policy:allkeys-lru\r\n\
                    # Replication\r\nrole:slave\r\nconnected_slaves:2\r\n";
        let full = ServerFacts::read("a".to_owned(), full);
        let nothing = ServerFacts::read("b".to_owned(), "");

        assert_eq!((full.major_version(), full.forgets_anything()), (Some(7), true));
        assert_eq!((full.is_master, full.replicas), (false, 2));
        assert_eq!((nothing.major_version(), nothing.forgets_anything(), nothing.is_master), (None, false, true));
    }
}
