//! A master, a replica, and sentinels that watch them.

use std::sync::Arc;

use heliograph_types::Secret;

use super::{IMPATIENT, PASSWORD, PATIENT, Papers, Redis, order, words};
use crate::{
    StateConfig,
    suite::server::{RedisServer, Special, wait_until},
};

/// The password of the sentinels.
const PASSWORD_OF_SENTINELS: &str = "watchword";

/// A master, a replica, and three sentinels.
pub(in crate::suite) struct Watched {
    pub(in crate::suite) servers: Vec<RedisServer>,
    pub(in crate::suite) sentinels: Vec<RedisServer>,
    papers: Option<Arc<Papers>>,
}

impl Watched {
    /// That are patient.
    pub(in crate::suite) fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// The same over TLS, which all of them speak to each other and to clients.
    pub(in crate::suite) fn start_over_tls() -> Option<Self> {
        Self::start_with(Some(Arc::new(Papers::new("127.0.0.1", false, false))))
    }

    fn start_with(papers: Option<Arc<Papers>>) -> Option<Self> {
        let server = |more: &str| {
            let arguments = words(&format!("--masterauth {PASSWORD} --repl-diskless-sync-delay 0 {more}"));
            let (password, papers) = (Some(PASSWORD.to_owned()), papers.clone());
            RedisServer::start_special(&Special { arguments, password, papers, ..Special::default() })
        };
        let master = server("")?;
        let replica = server(&format!("--replicaof 127.0.0.1 {}", master.open_port()))?;
        // Sentinels ask for replicas at once, and then only every while.
        wait_until("the replica follows", || replica.tell("INFO replication").contains("master_link_status:up"));
        let sentinels: Option<Vec<_>> = (0..3).map(|_| start_sentinel(master.open_port(), papers.clone())).collect();
        let watched = Self { servers: vec![master, replica], sentinels: sentinels?, papers };
        watched.wait_until_all("the sentinels know each other", |facts| {
            has(facts, "num-slaves", "1") && has(facts, "num-other-sentinels", "2")
        });
        Some(watched)
    }

    /// Has the sentinels look for another master as soon as this one has been silent for a second.
    pub(in crate::suite) fn lose_patience(&self) {
        self.have_patience(IMPATIENT);
    }

    fn have_patience(&self, patience_ms: u32) {
        for sentinel in &self.sentinels {
            order(sentinel, &format!("SENTINEL SET main down-after-milliseconds {patience_ms}"));
        }
    }

    /// Waits until all sentinels name that server and nothing more is going on. They are patient again
    /// then: else they might take it for lost as well, and go back to the one before it.
    pub(in crate::suite) fn wait_for_master(&self, server: usize) {
        let port = self.servers[server].open_port().to_string();
        self.wait_until_all("the sentinels name another master", |facts| has(facts, "port", &port));
        self.have_patience(PATIENT);
        self.wait_until_all("the failover is over", |facts| has(facts, "flags", "master") && has(facts, "port", &port));
    }

    /// Until it is so by what each sentinel says of the master.
    fn wait_until_all(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        wait_until(what, || self.sentinels.iter().all(|sentinel| is_so(&sentinel.tell("SENTINEL MASTER main"))));
    }
}

/// Whether it says that of the master.
fn has(facts: &str, name: &str, value: &str) -> bool {
    facts.contains(&format!("\r\n{name}\r\n${}\r\n{value}\r\n", value.len()))
}

fn start_sentinel(master: u16, papers: Option<Arc<Papers>>) -> Option<RedisServer> {
    let lines = [
        format!("sentinel monitor main 127.0.0.1 {master} 2"),
        format!("sentinel down-after-milliseconds main {PATIENT}"),
        "sentinel failover-timeout main 3000".to_owned(),
        format!("sentinel auth-pass main {PASSWORD}"),
        format!("requirepass {PASSWORD_OF_SENTINELS}"),
        format!("sentinel sentinel-pass {PASSWORD_OF_SENTINELS}"),
    ];
    let special = Special { arguments: words("--sentinel"), lines: lines.into(), papers, ..Special::default() };
    let sentinel = RedisServer::start_special(&special)?.with_password(PASSWORD_OF_SENTINELS);
    // They hear of others sooner than they would; and one that got no time for a while goes on at once, instead
    // of doing nothing for half a minute.
    order(&sentinel, "SENTINEL DEBUG info-period 1000 publish-period 500 tilt-trigger 600000");
    Some(sentinel)
}

impl Redis for Watched {
    fn config(&self) -> StateConfig {
        let sentinels: Vec<String> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.open_port())).collect();
        let url = format!("redis+sentinel://:{PASSWORD}@{}/main/1", sentinels.join(","));
        let config = StateConfig {
            redis_url: Some(Secret::new(url)),
            sentinel_password: Some(Secret::new(PASSWORD_OF_SENTINELS.to_owned())),
            ..StateConfig::default()
        };
        match &self.papers {
            Some(papers) => papers.secure(config),
            None => config,
        }
    }
}
