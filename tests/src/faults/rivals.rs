//! Two instances that both believe that they own an upload: one was out of the world while its lease ended, and comes
//! back when another one has taken over. Both commit.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{Body, Method};
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    cluster::Cluster,
    content::Content,
    instance::Role,
    load::{Clients, told},
    scale::Scale,
    tally::{End, Kind},
};
use crate::{Client, eventually, noise};

const LENGTH: usize = 400_000;
const ROUNDS: usize = 3;

/// Lets them meet several times. Nobody else works meanwhile.
pub(super) async fn meet(cluster: &mut Cluster, clients: &Arc<Clients>, scale: &Scale) {
    let _silence = clients.running.write().await;
    // What others have left in the air ends first.
    while in_progress(cluster).await.iter().sum::<u64>() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for round in 0..ROUNDS {
        let absence = if round == 0 { scale.absence } else { Duration::ZERO };
        meet_once(cluster, clients, absence).await;
    }
}

async fn meet_once(cluster: &mut Cluster, clients: &Arc<Clients>, absence: Duration) {
    let fronts = cluster.fronts();
    let id = fronts[0].create().await;
    let mut first = SlowUpload::begin(clients, &fronts[0], &id).await;
    let owner = eventually("an instance owns the upload", async || {
        in_progress(cluster).await.iter().position(|count| *count > 0)
    })
    .await;
    cluster.of(Role::Uploads).nth(owner).unwrap().process().signal("STOP");
    if absence.is_zero() {
        cluster.state.servers[0].tell("FLUSHALL").await;
    } else {
        tokio::time::sleep(absence).await;
    }
    let mut second = SlowUpload::begin(clients, &fronts[1], &id).await;
    let other = 1 - owner;
    eventually("another instance has taken over", async || {
        let health = cluster.of(Role::Uploads).nth(other)?.health();
        (uploads_at(health).await > 0).then_some(())
    })
    .await;
    cluster.of(Role::Uploads).nth(owner).unwrap().process().signal("CONT");
    first.send_rest().await;
    second.send_rest().await;
    let ends = [first.end(clients, &id).await, second.end(clients, &id).await];
    if ends.iter().all(|is_acknowledged| !is_acknowledged) {
        clients.ledger.wrong(format!("{id}: of two who own it none could fill it"));
    }
}

/// Uploads in progress at each orchestrator.
async fn in_progress(cluster: &mut Cluster) -> Vec<u64> {
    let mut counts = Vec::new();
    for health in cluster.of(Role::Uploads).map(|instance| instance.health()).collect::<Vec<_>>() {
        counts.push(uploads_at(health).await);
    }
    counts
}

async fn uploads_at(health: std::net::SocketAddr) -> u64 {
    Client::unpooled(health, "").count("heliograph_uploads_in_progress", "").await
}

/// An upload of which half was sent.
struct SlowUpload {
    content: Content,
    pieces: mpsc::Sender<Result<Bytes, std::io::Error>>,
    answer: JoinHandle<Result<Bytes, End>>,
}

impl SlowUpload {
    async fn begin(clients: &Arc<Clients>, front: &Client, id: &str) -> Self {
        let content = Content::of(noise(LENGTH, rand::random()), false);
        clients.ledger.attempt(id, &content);
        let (pieces, body) = mpsc::channel(2);
        let request = front.request(Method::PUT, &format!("/_matrix/media/v3/upload/{id}"));
        let request = request.body(Body::wrap_stream(ReceiverStream::new(body)));
        let answer = Handle::current().spawn(told(request));
        pieces.send(Ok(content.bytes.slice(..LENGTH / 2))).await.unwrap();
        Self { content, pieces, answer }
    }

    async fn send_rest(&mut self) {
        // Whoever has said no already reads no further.
        let _ = self.pieces.send(Ok(self.content.bytes.slice(LENGTH / 2..))).await;
    }

    /// Whether it was acknowledged.
    async fn end(self, clients: &Arc<Clients>, id: &str) -> bool {
        drop(self.pieces);
        let told = self.answer.await.unwrap();
        let is_acknowledged = told.is_ok();
        if is_acknowledged {
            clients.ledger.acknowledged(id, &self.content);
        }
        // Who has lost is told that there is content already.
        if told != Err(End::Refused(409)) {
            clients.tally.add(Kind::Upload, Instant::now(), told.map_or_else(|end| end, |_| End::Done));
        }
        is_acknowledged
    }
}
