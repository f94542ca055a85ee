//! The clients: they upload and download all the time, and remember what they were told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, Method, RequestBuilder};
use serde_json::Value;
use tokio::{sync::RwLock, task::JoinSet, time::MissedTickBehavior};

use super::{
    content::{Content, digest},
    ledger::{Ledger, Medium},
    origin::RemoteServer,
    tally::{End, Kind, Tally},
};
use crate::{Client, jpeg_size};

const UPLOADERS: u32 = 8;
const DOWNLOADERS: u32 = 12;
/// Bodies of unknown length come in pieces of this size.
const PIECE: usize = 16 << 10;
const UPLOAD: &str = "/_matrix/media/v3/upload";
/// Longer than any call within the cluster may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// All clients of a run.
#[derive(Debug)]
pub(super) struct Clients {
    /// Through the balancer.
    pub(super) client: Client,
    pub(super) ledger: Ledger,
    pub(super) tally: Tally,
    pub(super) remote: Option<RemoteServer>,
    pub(super) largest: usize,
    /// Held by each request; who wants silence takes it for himself.
    pub(super) running: RwLock<()>,
}

impl Clients {
    /// Clients that have not done anything yet.
    pub(super) fn new(client: Client, remote: Option<RemoteServer>, largest: usize) -> Arc<Self> {
        let (ledger, tally, running) = (Ledger::default(), Tally::default(), RwLock::default());
        Arc::new(Self { client, ledger, tally, remote, largest, running })
    }

    /// Sets them to work until the set is dropped.
    pub(super) fn start(self: &Arc<Self>, uploads_per_second: f64, downloads_per_second: f64) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for _ in 0..UPLOADERS {
            let clients = Arc::clone(self);
            tasks.spawn(every(f64::from(UPLOADERS) / uploads_per_second, async move || clients.write().await));
        }
        for _ in 0..DOWNLOADERS {
            let clients = Arc::clone(self);
            tasks.spawn(every(f64::from(DOWNLOADERS) / downloads_per_second, async move || clients.read().await));
        }
        tasks
    }

    async fn write(&self) {
        let _running = self.running.read().await;
        match rand::random_range(0..20) {
            0..4 => self.fill_created().await,
            4 => self.fill_created_twice().await,
            5..8 => self.upload(&Content::picture()).await,
            8 => self.upload_twice_and_delete_one().await,
            _ => self.upload(&Content::random(self.largest)).await,
        }
    }

    async fn read(&self) {
        let _running = self.running.read().await;
        match rand::random_range(0..10) {
            0 => self.thumbnail().await,
            1 => self.remote().await,
            _ => {
                if let Some(medium) = self.ledger.any(|_| true) {
                    self.download(&medium).await;
                }
            }
        }
    }

    // === uploads ===

    async fn upload(&self, content: &Content) {
        if let Some(id) = self.send(content).await {
            self.ledger.acknowledged(&id, content);
        }
    }

    /// Uploads in one request; the id if that was acknowledged.
    async fn send(&self, content: &Content) -> Option<String> {
        let request = self.client.request(Method::POST, UPLOAD).body(body(content));
        let request = request.header("content-type", kind_of(content));
        let id = self.ask(Kind::Upload, request).await.and_then(|answer| find_id(&answer));
        if id.is_none() {
            self.ledger.unanswered(content);
        }
        id
    }

    /// Content that is there twice is stored once: what happens to the one must not happen to the other.
    async fn upload_twice_and_delete_one(&self) {
        let content = Content::random(self.largest.min(1 << 20));
        let Some(first) = self.send(&content).await else { return };
        let Some(second) = self.send(&content).await else { return self.ledger.acknowledged(&first, &content) };
        self.ledger.acknowledged(&second, &content);
        self.ledger.expect_nothing_of(&first);
        let request = self.client.request(Method::DELETE, &format!("/_synapse/admin/v1/media/{first}"));
        if self.ask(Kind::Delete, request).await.is_some() {
            self.ledger.deleted(&first);
        }
    }

    async fn create(&self) -> Option<String> {
        let request = self.client.request(Method::POST, "/_matrix/media/v1/create");
        self.ask(Kind::Create, request).await.and_then(|answer| find_id(&answer))
    }

    async fn fill_created(&self) {
        if let Some(id) = self.create().await {
            self.fill(&id, &Content::random(self.largest), false).await;
        }
    }

    /// Of two at once one wins; the other is told that there is content already.
    async fn fill_created_twice(&self) {
        let Some(id) = self.create().await else { return };
        let (first, second) = (Content::random(self.largest), Content::random(self.largest));
        tokio::join!(self.fill(&id, &first, true), self.fill(&id, &second, true));
    }

    async fn fill(&self, id: &str, content: &Content, has_rival: bool) {
        self.ledger.attempt(id, content);
        let began = Instant::now();
        let request = self.client.request(Method::PUT, &format!("{UPLOAD}/{id}")).body(body(content));
        match told(request).await {
            Ok(_) => {
                self.tally.add(Kind::Upload, began, End::Done);
                self.ledger.acknowledged(id, content);
            }
            Err(End::Refused(409)) if has_rival => {}
            Err(end) => self.failed(Kind::Upload, began, end, id),
        }
    }

    // === downloads ===

    async fn download(&self, medium: &Medium) {
        let request = self.client.request(Method::GET, &format!("/_matrix/client/v1/media/download/{}", medium.id));
        if let Some(bytes) = self.ask(Kind::Download, request).await
            && digest(&bytes) != medium.digest
        {
            self.ledger.wrong(format!("{}: other bytes, {} of them", medium.id, bytes.len()));
        }
    }

    async fn thumbnail(&self) {
        let Some(medium) = self.ledger.any(|medium| medium.is_picture) else { return };
        let (size, method) = [(32, "crop"), (96, "crop"), (320, "scale")][rand::random_range(0..3)];
        let path =
            format!("/_matrix/client/v1/media/thumbnail/{}?width={size}&height={size}&method={method}", medium.id);
        if let Some(bytes) = self.ask(Kind::Thumbnail, self.client.request(Method::GET, &path)).await
            && jpeg_size(&bytes).is_none()
        {
            self.ledger.wrong(format!("{}: a thumbnail that is no picture", medium.id));
        }
    }

    async fn remote(&self) {
        let Some(remote) = &self.remote else { return };
        let id = remote.any_id();
        let request = self.client.request(Method::GET, &format!("/_matrix/client/v1/media/download/{id}"));
        if let Some(bytes) = self.ask(Kind::Remote, request).await
            && bytes != RemoteServer::content_of(&id)
        {
            self.ledger.wrong(format!("{id}: other bytes, {} of them", bytes.len()));
        }
    }

    // === answers ===

    /// The body of the answer if it was yes.
    pub(super) async fn ask(&self, kind: Kind, request: RequestBuilder) -> Option<Bytes> {
        let (began, path) = (Instant::now(), path_of(&request));
        match told(request).await {
            Ok(body) => {
                self.tally.add(kind, began, End::Done);
                Some(body)
            }
            Err(end) => {
                self.failed(kind, began, end, &path);
                None
            }
        }
    }

    fn failed(&self, kind: Kind, began: Instant, end: End, what: &str) {
        self.tally.add(kind, began, end);
        if let End::Refused(status) = end
            && is_final(status)
        {
            self.ledger.wrong(format!("{what}: refused for good, {status}"));
        }
    }
}

/// The whole body of a 200, or how it went instead.
pub(super) async fn told(request: RequestBuilder) -> Result<Bytes, End> {
    let answer = request.timeout(PATIENCE).send().await.map_err(|_| End::Broken)?;
    let status = answer.status().as_u16();
    // A body that breaks off is no body.
    let body = answer.bytes().await.map_err(|_| if status == 200 { End::Broken } else { End::Refused(status) })?;
    if status == 200 { Ok(body) } else { Err(End::Refused(status)) }
}

/// A client that hears this does not come again: it takes the medium for gone, or itself for logged out.
fn is_final(status: u16) -> bool {
    !matches!(status, 408 | 429 | 500..=599)
}

fn find_id(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    Some(answer["content_uri"].as_str()?.strip_prefix("mxc://")?.to_owned())
}

/// Some say how long it is, some do not.
fn body(content: &Content) -> Body {
    if rand::random() {
        return content.bytes.clone().into();
    }
    let bytes = content.bytes.clone();
    let piece = move |at: usize| bytes.slice(at..bytes.len().min(at + PIECE));
    Body::wrap_stream(stream::iter(
        (0..content.bytes.len()).step_by(PIECE).map(move |at| Ok::<_, std::io::Error>(piece(at))),
    ))
}

fn kind_of(content: &Content) -> &'static str {
    if content.is_picture { "image/jpeg" } else { "application/octet-stream" }
}

fn path_of(request: &RequestBuilder) -> String {
    let built = request.try_clone().and_then(|request| request.build().ok());
    built.map_or_else(String::new, |request| request.url().path().to_owned())
}

/// Does this again and again, so often if it is quick enough.
async fn every(seconds: f64, mut act: impl AsyncFnMut()) {
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(seconds));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::time::sleep(Duration::from_secs_f64(rand::random_range(0.0..seconds))).await;
    loop {
        ticks.tick().await;
        act().await;
    }
}
