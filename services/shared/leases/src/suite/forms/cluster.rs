//! Servers of which each has some of the keys.

use std::sync::Arc;

use heliograph_types::Secret;

use super::{IMPATIENT, PASSWORD, PATIENT, Papers, Redis, order, words};
use crate::{
    StateConfig,
    suite::server::{RedisServer, Special, wait_until},
};

/// A cluster of three masters, and replicas of the first of them.
pub(in crate::suite) struct Cluster {
    pub(in crate::suite) servers: Vec<RedisServer>,
    papers: Option<Arc<Papers>>,
}

impl Cluster {
    /// That is patient.
    pub(in crate::suite) fn start(replicas: usize) -> Option<Self> {
        Self::start_with(replicas, None)
    }

    /// The same over TLS, which all of them speak to each other and to clients, who must show a
    /// certificate. That of the servers is for a name, by which they tell where they are.
    pub(in crate::suite) fn start_over_tls(replicas: usize) -> Option<Self> {
        Self::start_with(replicas, Some(Arc::new(Papers::new("localhost", false, true))))
    }

    fn start_with(replicas: usize, papers: Option<Arc<Papers>>) -> Option<Self> {
        let named = "--cluster-announce-hostname localhost --cluster-preferred-endpoint-type hostname";
        let arguments = words(&format!(
            "--cluster-enabled yes --cluster-node-timeout {PATIENT} --cluster-require-full-coverage no \
             --cluster-replica-validity-factor 0 --repl-diskless-sync-delay 0 --repl-ping-replica-period 1 \
             --requirepass {PASSWORD} --masterauth {PASSWORD} {}",
            if papers.is_some() { named } else { "" },
        ));
        let special = Special { arguments, papers: papers.clone(), has_bus: true, ..Special::default() };
        let servers: Option<Vec<_>> =
            (0..3 + replicas).map(|_| Some(RedisServer::start_special(&special)?.with_password(PASSWORD))).collect();
        let cluster = Self { servers: servers?, papers };
        cluster.join();
        Some(cluster)
    }

    fn join(&self) {
        for (server, range) in self.servers.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            order(server, &format!("CLUSTER ADDSLOTSRANGE {range}"));
        }
        for (index, server) in self.servers.iter().enumerate() {
            order(server, &format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1));
        }
        for server in &self.servers[1..] {
            order(&self.servers[0], &format!("CLUSTER MEET 127.0.0.1 {} {}", server.open_port(), server.bus()));
        }
        self.wait("they know each other", |server| {
            let nodes = server.tell("CLUSTER NODES");
            nodes.matches(" connected").count() == self.servers.len() && !nodes.contains("handshake")
        });
        let first = self.id(0);
        for replica in &self.servers[3..] {
            order(replica, &format!("CLUSTER REPLICATE {first}"));
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
    pub(in crate::suite) fn id(&self, server: usize) -> String {
        let answer = self.servers[server].tell("CLUSTER MYID");
        answer.lines().nth(1).unwrap().to_owned()
    }

    /// Has those who run take a server for lost as soon as it has been silent for a second.
    pub(in crate::suite) fn lose_patience(&self) {
        self.have_patience(IMPATIENT);
    }

    /// Has them wait for everybody again.
    pub(in crate::suite) fn regain_patience(&self) {
        self.have_patience(PATIENT);
    }

    fn have_patience(&self, patience_ms: u32) {
        for server in self.servers.iter().filter(|server| server.is_running()) {
            order(server, &format!("CONFIG SET cluster-node-timeout {patience_ms}"));
        }
    }

    /// Has a replica ask the masters for their votes, as it does when its own is lost.
    pub(in crate::suite) fn promote(&self, replica: usize) {
        order(&self.servers[replica], "CLUSTER FAILOVER FORCE");
        self.wait_for_role(replica, "master");
    }

    /// Waits until all others say that this server is a master, or is none.
    pub(in crate::suite) fn wait_for_role(&self, server: usize, role: &str) {
        let id = self.servers[server].port();
        self.wait("its role changes", |other| {
            let nodes = if other.is_running() { other.tell("CLUSTER NODES") } else { return true };
            nodes.lines().any(|line| line.contains(&format!(":{id}@")) && line.contains(role))
        });
    }
}

impl Redis for Cluster {
    fn config(&self) -> StateConfig {
        let host = if self.papers.is_some() { "localhost" } else { "127.0.0.1" };
        // It is enough to know some.
        let [one, other] = [1, 2].map(|seed| format!("{host}:{}", self.servers[seed].open_port()));
        let url = format!("redis+cluster://:{PASSWORD}@{one},{other}");
        let config = StateConfig { redis_url: Some(Secret::new(url)), ..StateConfig::default() };
        match &self.papers {
            Some(papers) => papers.secure(config),
            None => config,
        }
    }
}
