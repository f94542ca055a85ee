//! Two instances that do everything, over one Redis and one store.

use std::path::Path;

use tempfile::TempDir;

use crate::{Deployment, Redis, Setup, Shape, free_port};

/// The instances, and what they share.
#[derive(Debug)]
pub struct Twins {
    /// Each `heliograph serve`.
    pub instances: [Deployment; 2],
    /// Their state.
    pub redis: Redis,
    folder: TempDir,
}

impl Twins {
    /// Two that reach each other, and fetch from servers that this authority vouches for.
    pub async fn start(authority: &Path) -> Self {
        Self::build(authority, true).await
    }

    /// Two that have no way to each other.
    pub async fn apart(authority: &Path) -> Self {
        Self::build(authority, false).await
    }

    async fn build(authority: &Path, know_each_other: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let redis = Redis::start(folder.path()).await;
        let start = async || {
            let storage = format!("file://{}", folder.path().join("store").display());
            let setup = Setup::new(Shape::One).trusts(authority).redis_url(&redis.url()).set("storage", "url", storage);
            let address = format!("127.0.0.1:{}", free_port());
            let known = know_each_other.then(|| format!("http://{address}"));
            let setup = setup.set("cluster", "grpc_listen", address);
            match known {
                Some(url) => setup.set("cluster", "advertise_url", url).start().await,
                None => setup.start().await,
            }
        };
        let instances = [start().await, start().await];
        Self { instances, redis, folder }
    }

    /// How many files lie in the store below this folder.
    pub fn count_stored(&self, prefix: &str) -> usize {
        count_files(&self.folder.path().join("store").join(prefix))
    }
}

fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let count = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => count_files(&entry.path()),
        _ => 1,
    };
    entries.map(count).sum()
}
