//! Several real servers that are one Redis together, and one that trusts nobody.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use heliograph_types::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tempfile::TempDir;

use super::server::{RedisServer, Special, free_port, wait_until};
use crate::StateConfig;

/// The password of the servers, and that of the sentinels.
pub(super) const PASSWORD: &str = "hunter2";
const PASSWORD_OF_SENTINELS: &str = "watchword";

/// What one running example of is enough for many tests, while any of them uses it.
pub(super) struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    /// The one that runs, or else a new one.
    pub(super) fn get(&self, start: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = current.upgrade() {
            return Some(running);
        }
        let started = Arc::new(start()?);
        *current = Arc::downgrade(&started);
        Some(started)
    }
}

/// Where a test finds its Redis.
pub(super) trait Redis: Send + Sync + 'static {
    /// The settings for it.
    fn config(&self) -> StateConfig;
}

impl Redis for RedisServer {
    fn config(&self) -> StateConfig {
        StateConfig { redis_url: Some(Secret::new(self.url())), ..StateConfig::default() }
    }
}

/// Words of a command line.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A private certificate authority.
pub(super) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    /// The file with its own certificate.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The files of a certificate for `host`, and of its key.
    pub(super) fn certify(&self, host: &str, is_expired: bool) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if is_expired {
            (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        let name = format!("{host}{}", if is_expired { "-expired" } else { "" });
        let files = ["pem", "key"].map(|end| self.folder.path().join(format!("{name}.{end}")));
        std::fs::write(&files[0], params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files.into()
    }
}

/// One server with a password, over TLS.
pub(super) struct Secured {
    pub(super) authority: Authority,
    server: RedisServer,
    port: u16,
}

impl Secured {
    /// For 127.0.0.1.
    pub(super) fn start() -> Option<Self> {
        Self::start_for("127.0.0.1", false, "no")
    }

    /// With a certificate for `host`; `clients` says whether they must show one.
    pub(super) fn start_for(host: &str, is_expired: bool, clients: &str) -> Option<Self> {
        let authority = Authority::new();
        let (chain, key) = authority.certify(host, is_expired);
        let port = free_port();
        let mut arguments = words(&format!("--tls-port {port} --tls-auth-clients {clients}"));
        for (name, file) in
            [("--tls-cert-file", chain), ("--tls-key-file", key), ("--tls-ca-cert-file", authority.file())]
        {
            arguments.extend([name.to_owned(), file.display().to_string()]);
        }
        let password = Some(PASSWORD.to_owned());
        let server = RedisServer::start_special(&Special { arguments, password, ..Special::default() })?;
        Some(Self { authority, server, port })
    }

    /// Asks it something, without TLS.
    pub(super) fn tell(&self, command: &str) -> String {
        self.server.tell(command)
    }
}

impl Redis for Secured {
    fn config(&self) -> StateConfig {
        StateConfig {
            redis_url: Some(Secret::new(format!("rediss://127.0.0.1:{}/1", self.port))),
            redis_password: Some(Secret::new(PASSWORD.to_owned())),
            redis_ca_file: Some(self.authority.file()),
            ..StateConfig::default()
        }
    }
}

/// A master, a replica, and three sentinels.
pub(super) struct Watched {
    pub(super) servers: Vec<RedisServer>,
    pub(super) sentinels: Vec<RedisServer>,
}

impl Watched {
    /// That fail over after the master was silent for so long.
    pub(super) fn start(patience_ms: u32) -> Option<Self> {
        let server = |more: &str| {
            let arguments = words(&format!("--masterauth {PASSWORD} --repl-diskless-sync-delay 0 {more}"));
            RedisServer::start_special(&Special {
                arguments,
                password: Some(PASSWORD.to_owned()),
                ..Special::default()
            })
        };
        let master = server("")?;
        let replica = server(&format!("--replicaof 127.0.0.1 {}", master.port()))?;
        // Sentinels ask for replicas at once, and then only every ten seconds.
        wait_until("the replica follows", || replica.tell("INFO replication").contains("master_link_status:up"));
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let lines = [
                format!("sentinel monitor main 127.0.0.1 {} 2", master.port()),
                format!("sentinel down-after-milliseconds main {patience_ms}"),
                "sentinel failover-timeout main 3000".to_owned(),
                format!("sentinel auth-pass main {PASSWORD}"),
                format!("requirepass {PASSWORD_OF_SENTINELS}"),
                format!("sentinel sentinel-pass {PASSWORD_OF_SENTINELS}"),
            ];
            let special = Special { arguments: words("--sentinel"), lines: lines.into(), password: None };
            sentinels.push(RedisServer::start_special(&special)?.with_password(PASSWORD_OF_SENTINELS));
        }
        let watched = Self { servers: vec![master, replica], sentinels };
        wait_until("the sentinels know each other", || {
            watched.sentinels.iter().all(|sentinel| {
                let facts = sentinel.tell("SENTINEL MASTER main");
                let knows = |name: &str, value: &str| facts.contains(&format!("{name}\r\n$1\r\n{value}\r\n"));
                knows("num-slaves", "1") && knows("num-other-sentinels", "2")
            })
        });
        Some(watched)
    }

    /// Waits until all sentinels name that server.
    pub(super) fn wait_for_master(&self, server: usize) {
        let port = self.servers[server].port().to_string();
        wait_until("the sentinels name another master", || {
            self.sentinels
                .iter()
                .all(|sentinel| sentinel.tell("SENTINEL MASTER main").contains(&format!("\r\n{port}\r\n")))
        });
    }
}

impl Redis for Watched {
    fn config(&self) -> StateConfig {
        let sentinels: Vec<String> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
        let url = format!("redis+sentinel://:{PASSWORD}@{}/main/1", sentinels.join(","));
        StateConfig {
            redis_url: Some(Secret::new(url)),
            sentinel_password: Some(Secret::new(PASSWORD_OF_SENTINELS.to_owned())),
            ..StateConfig::default()
        }
    }
}

/// A cluster of three masters, and replicas of the first of them.
pub(super) struct Cluster {
    pub(super) servers: Vec<RedisServer>,
}

impl Cluster {
    /// That fails over after a master was silent for so long.
    pub(super) fn start(replicas: usize, patience_ms: u32) -> Option<Self> {
        let mut servers = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..3 + replicas {
            let bus = free_port();
            let arguments = words(&format!(
                "--cluster-enabled yes --cluster-node-timeout {patience_ms} --cluster-require-full-coverage no \
                 --cluster-port {bus} --cluster-replica-validity-factor 0 --repl-diskless-sync-delay 0 --repl-ping-replica-period 1 \
                 --requirepass {PASSWORD} --masterauth {PASSWORD}"
            ));
            let server = RedisServer::start_special(&Special { arguments, ..Special::default() })?;
            servers.push(server.with_password(PASSWORD));
            buses.push(bus);
        }
        let cluster = Self { servers };
        cluster.join(&buses);
        Some(cluster)
    }

    fn join(&self, buses: &[u16]) {
        let ok = |server: &RedisServer, command: &str| assert_eq!(server.tell(command), "+OK\r\n", "{command}");
        for (server, range) in self.servers.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            ok(server, &format!("CLUSTER ADDSLOTSRANGE {range}"));
        }
        for (index, server) in self.servers.iter().enumerate() {
            ok(server, &format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1));
        }
        for (server, bus) in self.servers.iter().zip(buses).skip(1) {
            ok(&self.servers[0], &format!("CLUSTER MEET 127.0.0.1 {} {bus}", server.port()));
        }
        self.wait("they know each other", |server| {
            let nodes = server.tell("CLUSTER NODES");
            nodes.matches(" connected").count() == self.servers.len() && !nodes.contains("handshake")
        });
        let first = self.id(0);
        for replica in &self.servers[3..] {
            ok(replica, &format!("CLUSTER REPLICATE {first}"));
            wait_until("the replica follows", || replica.tell("INFO replication").contains("master_link_status:up"));
        }
        self.wait("the cluster is up", |server| {
            let replicas = server.tell("CLUSTER NODES").matches("slave").count();
            server.tell("CLUSTER INFO").contains("cluster_state:ok") && replicas == self.servers.len() - 3
        });
    }

    fn wait(&self, what: &str, is_so: impl Fn(&RedisServer) -> bool) {
        wait_until(what, || self.servers.iter().all(&is_so));
    }

    /// The name of a server among the others.
    pub(super) fn id(&self, server: usize) -> String {
        let answer = self.servers[server].tell("CLUSTER MYID");
        answer.lines().nth(1).unwrap().to_owned()
    }

    /// Waits until all others say that this server is a master, or is none.
    pub(super) fn wait_for_role(&self, server: usize, role: &str) {
        let id = self.servers[server].port();
        self.wait("its role changes", |other| {
            let nodes = if other.is_running() { other.tell("CLUSTER NODES") } else { return true };
            nodes.lines().any(|line| line.contains(&format!(":{id}@")) && line.contains(role))
        });
    }
}

impl Redis for Cluster {
    fn config(&self) -> StateConfig {
        // It is enough to know some.
        let seeds = format!("127.0.0.1:{},127.0.0.1:{}", self.servers[1].port(), self.servers[2].port());
        StateConfig {
            redis_url: Some(Secret::new(format!("redis+cluster://:{PASSWORD}@{seeds}"))),
            ..StateConfig::default()
        }
    }
}
