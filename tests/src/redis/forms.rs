//! Several servers that are one Redis, and one that is reached over TLS.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::Redis;
use crate::{Authority, Setup, eventually, free_port};

const PASSWORD: &str = "a-password";

/// How long a server may be silent, in ms, before others take it for lost: for ever, since on a busy
/// machine any may be silent for a while; and once one is lost indeed.
const PATIENT: &str = "600000";
const IMPATIENT: &str = "1000";

/// A Redis of some form, and how Heliograph is told of it.
#[derive(Debug)]
pub struct RedisServers {
    /// Those that hold keys and run. The first is a master; the last is its replica, if there is
    /// more than one.
    servers: Vec<Redis>,
    sentinels: Vec<Redis>,
    url: String,
    settings: Vec<(&'static str, String)>,
    // Last, so that it goes after all who write there.
    _folder: TempDir,
}

impl RedisServers {
    /// One server with a password, over TLS, with an authority of its own.
    pub async fn over_tls() -> Self {
        let (folder, port) = (new_folder(), free_port());
        let authority = Authority::new(folder.path());
        let (chain, key) = authority.certify("127.0.0.1");
        let ca = authority.file();
        let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let (chain, key, ca) = (text(&chain), text(&key), text(&ca));
        let tls_port = port.to_string();
        let files = ["--tls-cert-file", &chain, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
        let tls = [&["--tls-port", &tls_port, "--tls-auth-clients", "no"], &files[..]].concat();
        let server = start(folder.path(), "secure", &tls).await;
        let password = folder.path().join("password");
        fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        Self {
            servers: vec![server],
            sentinels: Vec::new(),
            url: format!("rediss://127.0.0.1:{port}/0"),
            settings: vec![("redis_ca_file", ca), ("redis_password_file", text(&password))],
            _folder: folder,
        }
    }

    /// A master, its replica, and three sentinels.
    pub async fn behind_sentinels() -> Self {
        let folder = new_folder();
        let master = start(folder.path(), "master", &[]).await;
        let port = master.port.to_string();
        let replica = start(folder.path(), "replica", &["--replicaof", "127.0.0.1", &port]).await;
        follows(&replica).await;
        let mut sentinels = Vec::new();
        for name in ["sentinel1", "sentinel2", "sentinel3"] {
            let own = folder.path().join(name);
            fs::create_dir(&own).unwrap();
            let lines = format!(
                "sentinel monitor main 127.0.0.1 {port} 2\nsentinel auth-pass main {PASSWORD}\n\
                 sentinel down-after-milliseconds main {PATIENT}\nsentinel failover-timeout main 3000\n"
            );
            fs::write(own.join("sentinel.conf"), lines).unwrap();
            sentinels.push(Redis::start_with(&own, name, None, &["sentinel.conf", "--sentinel"]).await);
        }
        for sentinel in &sentinels {
            eventually("the sentinels know each other", async || {
                let facts = sentinel.tell("SENTINEL MASTER main").await;
                let knows = |name: &str, value: &str| facts.contains(&format!("{name}\r\n$1\r\n{value}\r\n"));
                (knows("num-slaves", "1") && knows("num-other-sentinels", "2")).then_some(())
            })
            .await;
        }
        let hosts: Vec<String> = sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        let url = format!("redis+sentinel://:{PASSWORD}@{}/main/0", hosts.join(","));
        Self { servers: vec![master, replica], sentinels, url, settings: Vec::new(), _folder: folder }
    }

    /// Three masters, and a replica of the first.
    pub async fn as_cluster() -> Self {
        let folder = new_folder();
        let (mut servers, mut buses) = (Vec::new(), Vec::new());
        for name in ["first", "second", "third", "replica"] {
            let own = folder.path().join(name);
            fs::create_dir(&own).unwrap();
            let bus = free_port();
            let port = bus.to_string();
            let more = ["--cluster-enabled", "yes", "--cluster-node-timeout", PATIENT, "--cluster-port", &port];
            let sooner = ["--cluster-replica-validity-factor", "0", "--cluster-require-full-coverage", "no"];
            servers.push(start(&own, name, &[&more[..], &sooner[..]].concat()).await);
            buses.push(bus);
        }
        for (server, range) in servers.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            assert_eq!(server.tell(&format!("CLUSTER ADDSLOTSRANGE {range}")).await, "+OK\r\n");
        }
        for (index, server) in servers.iter().enumerate() {
            assert_eq!(server.tell(&format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1)).await, "+OK\r\n");
        }
        for (server, bus) in servers.iter().zip(&buses).skip(1) {
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {bus}", server.port);
            assert_eq!(servers[0].tell(&meet).await, "+OK\r\n");
        }
        let known = " connected";
        all_say(&servers, "CLUSTER NODES", |nodes| nodes.matches(known).count() == 4 && !nodes.contains("handshake"))
            .await;
        let first = servers[0].tell("CLUSTER MYID").await;
        let first = first.lines().nth(1).unwrap();
        assert_eq!(servers[3].tell(&format!("CLUSTER REPLICATE {first}")).await, "+OK\r\n");
        follows(&servers[3]).await;
        all_say(&servers, "CLUSTER NODES", |nodes| nodes.contains("slave")).await;
        all_say(&servers, "CLUSTER INFO", |facts| facts.contains("cluster_state:ok")).await;
        let url = format!("redis+cluster://:{PASSWORD}@127.0.0.1:{},127.0.0.1:{}", servers[1].port, servers[2].port);
        Self { servers, sentinels: Vec::new(), url, settings: Vec::new(), _folder: folder }
    }

    /// A deployment that uses it.
    pub fn used_by(&self, setup: Setup) -> Setup {
        let setup = setup.redis_url(&self.url);
        self.settings.iter().fold(setup, |setup, (key, value)| setup.set("state", key, value.as_str()))
    }

    /// Kills the first master and waits until its replica has taken its place.
    pub async fn fail_over(&mut self) {
        // Dropped, and so killed.
        drop(self.servers.remove(0));
        let (watchers, order) = if self.sentinels.is_empty() {
            (&self.servers, "CONFIG SET cluster-node-timeout")
        } else {
            (&self.sentinels, "SENTINEL SET main down-after-milliseconds")
        };
        for watcher in watchers {
            assert_eq!(watcher.tell(&format!("{order} {IMPATIENT}")).await, "+OK\r\n");
        }
        let replica = self.servers.last().unwrap();
        eventually("the replica takes over", async || {
            replica.tell("INFO replication").await.contains("role:master").then_some(())
        })
        .await;
    }

    /// How many keys the servers hold together.
    pub async fn keys(&self) -> usize {
        let mut sum = 0;
        for server in &self.servers {
            sum += server.tell("DBSIZE").await.trim_start_matches(':').trim().parse::<usize>().unwrap();
        }
        sum
    }
}

fn new_folder() -> TempDir {
    tempfile::Builder::new().prefix("heliograph-redis-").tempdir().unwrap()
}

/// One that keeps nothing and asks for the password.
async fn start(folder: &Path, name: &str, arguments: &[&str]) -> Redis {
    let usual = ["--save", "", "--appendonly", "no", "--requirepass", PASSWORD, "--masterauth", PASSWORD];
    let sooner = ["--repl-diskless-sync-delay", "0"];
    Redis::start_with(folder, name, Some(PASSWORD), &[&usual[..], &sooner[..], arguments].concat()).await
}

async fn follows(replica: &Redis) {
    eventually("the replica follows", async || {
        replica.tell("INFO replication").await.contains("master_link_status:up").then_some(())
    })
    .await;
}

async fn all_say(servers: &[Redis], question: &str, is_right: impl Fn(&str) -> bool) {
    for server in servers {
        eventually("the servers agree", async || is_right(&server.tell(question).await).then_some(())).await;
    }
}
