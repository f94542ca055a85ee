//! The names of roles: each has the addresses of those of its instances that are ready, as a headless service of
//! Kubernetes, and some time late.

use std::{fmt::Write, fs, net::SocketAddr, path::PathBuf, time::Duration};

use reqwest::Method;
use tokio::task::JoinSet;

use super::instance::{Instance, Role};
use crate::Client;

const POLL: Duration = Duration::from_secs(1);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps `/etc/hosts` until it is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    _task: JoinSet<()>,
}

struct Entry {
    role: Role,
    health: SocketAddr,
    client: Client,
}

impl Directory {
    /// Keeps this file. At first, all are in it.
    pub(super) fn start(file: PathBuf, instances: &[Instance]) -> Self {
        let entry = |instance: &Instance| {
            let health = instance.health();
            Entry { role: instance.role, health, client: Client::unpooled(health, "") }
        };
        let entries: Vec<Entry> = instances.iter().map(entry).collect();
        write(&file, entries.iter());
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                tokio::time::sleep(POLL).await;
                let asked = futures_util::future::join_all(entries.iter().map(is_ready)).await;
                write(&file, entries.iter().zip(asked).filter(|(_, is_ready)| *is_ready).map(|(entry, _)| entry));
            }
        });
        Self { _task: task }
    }
}

async fn is_ready(entry: &Entry) -> bool {
    let asked = entry.client.request(Method::GET, "/readyz").timeout(PROBE_TIMEOUT).send().await;
    asked.is_ok_and(|answer| answer.status() == 200)
}

/// In place: the file is mounted.
fn write<'a>(file: &PathBuf, entries: impl Iterator<Item = &'a Entry>) {
    let mut text = "127.0.0.1 localhost\n".to_owned();
    for entry in entries {
        writeln!(text, "{} {}", entry.health.ip(), entry.role.name()).unwrap();
    }
    if fs::read_to_string(file).is_ok_and(|old| old == text) {
        return;
    }
    fs::write(file, text).unwrap();
}
