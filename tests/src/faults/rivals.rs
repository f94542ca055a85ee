//! Two instances that both believe that they own an upload: one was out of the world while its lease ended, and comes
//! back when another one has taken over. Both commit.

use std::{
    net::SocketAddr,
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
const PAUSE: Duration = Duration::from_secs(2);
const MOMENT: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_mins(2);

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
        first.trickle(absence).await;
    }
    let other = cluster.of(Role::Uploads).nth(1 - owner).unwrap().health();
    let mut second = SlowUpload::begin_where(clients, &fronts[1], &id, other).await;
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

async fn uploads_at(health: SocketAddr) -> u64 {
    Client::unpooled(health, "").count("heliograph_uploads_in_progress", "").await
}

/// An upload of which half was sent.
struct SlowUpload {
    content: Content,
    sent: usize,
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
        Self { content, sent: LENGTH / 2, pieces, answer }
    }

    /// The same, as often as it takes until this instance has taken it: as long as others are asked, they do not answer.
    async fn begin_where(clients: &Arc<Clients>, front: &Client, id: &str, owner: SocketAddr) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let upload = Self::begin(clients, front, id).await;
            while !upload.answer.is_finished() {
                if uploads_at(owner).await > 0 {
                    return upload;
                }
                assert!(Instant::now() < deadline, "no other instance takes over");
                tokio::time::sleep(MOMENT).await;
            }
        }
    }

    /// Sends a byte now and then: who is silent is given up.
    async fn trickle(&mut self, span: Duration) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            tokio::time::sleep(PAUSE).await;
            self.send_up_to(self.sent + 1).await;
        }
    }

    async fn send_rest(&mut self) {
        self.send_up_to(LENGTH).await;
    }

    async fn send_up_to(&mut self, end: usize) {
        // Whoever has said no already reads no further.
        let _ = self.pieces.send(Ok(self.content.bytes.slice(self.sent..end))).await;
        self.sent = end;
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
