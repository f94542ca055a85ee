//! Four processes over each form of Redis: behind sentinels, as a cluster, over TLS.

use std::{
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use heliograph_tests::{Client, Deployment, RedisServers, Setup, Shape, eventually, noise};
use tokio::task::JoinSet;

/// Some who upload and download all the time.
struct Load {
    users: JoinSet<Vec<(String, u64)>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Load {
    fn start(deployment: &Deployment) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let users = (0..4)
            .map(|user| work(deployment.alice(), deployment.bob(), user << 32, Arc::clone(&stop), Arc::clone(&done)))
            .collect();
        Self { users, stop, done }
    }

    /// Waits until that many more have been uploaded and downloaded.
    async fn goes_on(&self, more: u64) {
        let before = self.done.load(Ordering::Relaxed);
        eventually("uploads and downloads go on", async || {
            (self.done.load(Ordering::Relaxed) >= before + more).then_some(())
        })
        .await;
    }

    /// What was acknowledged, with the seed of its content.
    async fn end(self) -> Vec<(String, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.users.join_all().await.into_iter().flatten().collect()
    }
}

/// Fails with the first request that does.
async fn work(
    writer: Client,
    reader: Client,
    first: u64,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Vec<(String, u64)> {
    let mut uploaded = Vec::new();
    for seed in first.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = writer.upload(noise(3000, seed), "application/octet-stream").await;
        assert_eq!(reader.download(&id).await.ok(), noise(3000, seed));
        uploaded.push((id, seed));
        done.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    uploaded
}

/// Under load `fault` happens, and no request fails, and nothing is lost.
async fn nothing_fails(redis: RedisServers, trial: &str, fault: impl AsyncFnOnce(&mut RedisServers)) {
    let mut redis = redis;
    // Patient enough to remember everything, impatient enough to go on without Redis.
    let setup = Setup::new(Shape::Four).set("state", "timeout", "500ms");
    let deployment = redis.used_by(setup).start().await;
    let Output { status, stdout, .. } = deployment.tell(&["doctor"]);
    let told = String::from_utf8(stdout).unwrap();
    assert!(status.success() && told.contains(trial), "{told}");
    let load = Load::start(&deployment);
    load.goes_on(20).await;

    fault(&mut redis).await;

    load.goes_on(50).await;
    let uploaded = load.end().await;
    assert!(redis.keys().await > 0, "the state is somewhere else");
    let reader = deployment.bob();
    for (id, seed) in uploaded {
        assert_eq!(reader.download(&id).await.ok(), noise(3000, seed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels_a_failover_costs_no_request() {
    let redis = RedisServers::behind_sentinels().await;
    nothing_fails(redis, "3 of 3 sentinels name", async |redis| redis.fail_over().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_the_loss_of_a_master_costs_no_request() {
    let redis = RedisServers::as_cluster().await;
    nothing_fails(redis, "a cluster of 3 masters", async |redis| redis.fail_over().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_with_a_password_all_works() {
    let redis = RedisServers::over_tls().await;
    nothing_fails(redis, "one, over TLS", async |_| ()).await;
}
