//! A rolling update: every instance of every role ends and starts again, while others work.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;

use super::{
    cluster::{Cluster, INSTANCES},
    content::{Content, digest},
    instance::Role,
    load::Clients,
    scale::Scale,
    tally::{End, Kind},
};
use crate::{Client, noise};

/// More than all buffers between the two take.
const LONG: usize = 48 << 20;
/// How much longer than the beginning of the end the download goes on.
const LINGERS: Duration = Duration::from_secs(2);

/// Replaces all of them; on each front that ends there is a long download.
pub(super) async fn roll(cluster: &mut Cluster, clients: &Arc<Clients>, scale: &Scale) {
    let content = Content::of(noise(LONG, rand::random()), false);
    let id = cluster.fronts()[0].upload(content.bytes.clone(), "video/mp4").await;
    clients.ledger.acknowledged(&id, &content);
    for role in Role::ALL {
        for nth in 0..INSTANCES {
            if role != Role::Api {
                replace(cluster, role, nth, scale).await;
                continue;
            }
            let download = LongDownload::begin(&cluster.fronts()[nth], &id).await;
            let ((), got) = tokio::join!(replace(cluster, role, nth, scale), download.finish(scale.goodbye + LINGERS));
            let end = if got.is_some() { End::Done } else { End::Broken };
            clients.tally.add(Kind::Download, Instant::now(), end);
            if got.is_some_and(|got| digest(&got) != content.digest) {
                clients.ledger.wrong(format!("{id}: other bytes from a front that ended"));
            }
        }
    }
}

/// Ends one instance in order and starts it again.
pub(super) async fn replace(cluster: &mut Cluster, role: Role, nth: usize, scale: &Scale) {
    let address = cluster.of(role).nth(nth).unwrap().health();
    if role == Role::Api {
        cluster.balancer.takes_leave_of(address);
        tokio::time::sleep(scale.goodbye).await;
    }
    let instance = cluster.of(role).nth(nth).unwrap();
    instance.end().await;
    instance.launch();
    instance.is_ready().await;
    if role == Role::Api {
        cluster.balancer.welcomes(address);
        cluster.is_whole().await;
    }
}

/// A download of which the beginning has been read.
struct LongDownload {
    answer: reqwest::Response,
    got: Vec<u8>,
}

impl LongDownload {
    async fn begin(front: &Client, id: &str) -> Self {
        let request = front.request(Method::GET, &format!("/_matrix/client/v1/media/download/{id}"));
        let mut answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let got = answer.chunk().await.unwrap().unwrap().to_vec();
        Self { answer, got }
    }

    /// Reads the rest, and only so much later; `None` if it breaks off.
    async fn finish(mut self, later: Duration) -> Option<Vec<u8>> {
        tokio::time::sleep(later).await;
        while let Some(piece) = self.answer.chunk().await.ok()? {
            self.got.extend_from_slice(&piece);
        }
        Some(self.got)
    }
}
