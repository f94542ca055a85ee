//! What the tests stand on: an origin, a store, an orchestrator that keeps to its contract.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_rt::Arbiter;
use async_trait::async_trait;
use futures_util::TryStreamExt;
use heliograph_blobs::{BlobStore, Key, LocalStore, StorageConfig};
use heliograph_catalog::{Catalog, MediaRecord, blob_key};
use heliograph_leases::{EmbeddedState, State};
use heliograph_matrix::{
    FederationConfig, GuardedClient, PreviewsConfig, SigningKey, Way as WayOut,
    testing::{FixedLookup, Step, TestAuthority, TestRequest, TestServer},
};
use heliograph_proto::{
    Action, Begin, Block, Commit, Complete, FederationService, Fetch, ListUploads, Moderate, Presign, RemoteMedia,
    Reservation, Reserve, RouteKey, Target, Ticket, UploadService, Uploads, Usage, testing::Way,
};
use heliograph_types::{Clock, ErrorCode, Failure, ManualClock, MediaId, Mxc, ServerName, Timestamp, UserId};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Deps, FederationFetcher, PreviewsDeps};

/// An orchestrator that admits everybody but does not let content be overwritten.
pub(super) struct FakeUploads {
    catalog: Arc<Catalog>,
    blobs: Arc<dyn BlobStore>,
    next: AtomicU64,
    /// Ids that are being filled.
    open: Mutex<HashMap<Mxc, Ticket>>,
    pub(super) log: Mutex<Vec<&'static str>>,
    pub(super) refuse_begin: Mutex<VecDeque<Failure>>,
    pub(super) refuse_progress: Mutex<VecDeque<Failure>>,
    pub(super) refuse_commit: Mutex<VecDeque<Failure>>,
    pub(super) idle_timeout: Mutex<Duration>,
    /// Told of every report that was not refused.
    pub(super) reported: Notify,
    /// Whether all content was there before.
    pub(super) shares: AtomicBool,
}

impl FakeUploads {
    fn note(&self, what: &'static str) {
        self.log.lock().unwrap().push(what);
    }

    /// Whether it was open.
    fn close(&self, ticket: &Ticket) -> bool {
        let mut open = self.open.lock().unwrap();
        let is_open = open.get(&ticket.mxc) == Some(ticket);
        if is_open {
            open.remove(&ticket.mxc);
        }
        is_open
    }
}

#[async_trait]
impl UploadService for FakeUploads {
    async fn reserve(&self, _: Reserve) -> Result<Reservation, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn presign(&self, _: Presign) -> Result<String, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn complete(&self, _: Complete) -> Result<(), Failure> {
        Err(Failure::internal("not here"))
    }

    async fn begin(&self, request: Begin) -> Result<Ticket, Failure> {
        let mxc = match request.target {
            Target::Remote(mxc) => mxc,
            Target::New(server_name) => Mxc { server_name, media_id: MediaId::random() },
            Target::Reserved(_) => return Err(Failure::internal("nobody reserves here")),
        };
        if let Some(failure) = self.refuse_begin.lock().unwrap().pop_front() {
            return Err(failure);
        }
        if self.catalog.find(&mxc).await?.is_some() {
            return Err(Failure::new(ErrorCode::CannotOverwriteMedia, "it is there"));
        }
        if self.open.lock().unwrap().contains_key(&mxc) {
            return Err(Failure::new(ErrorCode::CannotOverwriteMedia, "it is being filled"));
        }
        self.note("begin");
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let blob_id = format!("{number:026}");
        let ticket = Ticket {
            route: RouteKey::random(),
            blob: blob_key(&mxc, &blob_id, None).to_string(),
            mxc: mxc.clone(),
            blob_id: blob_id.parse().unwrap(),
            uploader: request.uploader,
            is_reserved: false,
            fence: number,
            max_bytes: 50 << 20,
            idle_timeout: *self.idle_timeout.lock().unwrap(),
        };
        self.open.lock().unwrap().insert(mxc, ticket.clone());
        Ok(ticket)
    }

    async fn progress(&self, _: &Ticket, _: u64) -> Result<(), Failure> {
        if let Some(failure) = self.refuse_progress.lock().unwrap().pop_front() {
            return Err(failure);
        }
        self.reported.notify_one();
        Ok(())
    }

    async fn commit(&self, commit: Commit) -> Result<(), Failure> {
        if let Some(failure) = self.refuse_commit.lock().unwrap().pop_front() {
            return Err(failure);
        }
        if !self.close(&commit.ticket) {
            return Err(Failure::not_found());
        }
        let key = Key::new(commit.ticket.blob.as_str()).unwrap();
        assert_eq!(self.blobs.size_of(&key).await.unwrap(), commit.size_bytes, "the bytes are durable before");
        self.note("commit");
        let written = key.clone();
        let key = if self.shares.load(Ordering::SeqCst) { Key::new("blobs/there-before").unwrap() } else { key };
        if key != written {
            self.blobs.copy(&written, &key).await?;
        }
        let record = MediaRecord {
            schema: MediaRecord::SCHEMA,
            mxc: commit.ticket.mxc,
            content_type: commit.content_type,
            sniffed_type: commit.sniffed_type,
            size_bytes: commit.size_bytes,
            sha256: hex::encode(commit.sha256.unwrap()),
            blob: key.to_string(),
            upload: None,
            direct: false,
            uploader: commit.ticket.uploader,
            file_name: commit.file_name,
            created_at: Timestamp::default(),
            quarantined: None,
            protected: false,
            deleted: None,
        };
        self.catalog.create(&record).await?;
        if key != written {
            self.blobs.delete(&written).await?;
        }
        Ok(())
    }

    async fn abort(&self, ticket: &Ticket) -> Result<(), Failure> {
        self.note("abort");
        self.close(ticket);
        Ok(self.blobs.delete(&Key::new(ticket.blob.as_str()).unwrap()).await?)
    }

    async fn moderate(&self, request: Moderate) -> Result<bool, Failure> {
        assert_eq!(request.action, Action::Delete);
        let record = self.catalog.find(&request.mxc).await?.ok_or_else(Failure::not_found)?;
        self.note("delete");
        self.blobs.delete(&record.blob_key()?).await?;
        Ok(true)
    }

    async fn block(&self, _: Block) -> Result<(), Failure> {
        Err(Failure::internal("not here"))
    }

    async fn usage(&self, _: &UserId) -> Result<Usage, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn list_uploads(&self, _: ListUploads) -> Result<Uploads, Failure> {
        Err(Failure::internal("not here"))
    }

    async fn purge_copies(&self, _: Timestamp) -> Result<u64, Failure> {
        Err(Failure::internal("not here"))
    }
}

pub(super) struct Fixture {
    pub(super) service: Arc<FederationFetcher>,
    /// The same, as callers reach it.
    pub(super) contract: Arc<dyn FederationService>,
    pub(super) server: TestServer,
    pub(super) origin: ServerName,
    pub(super) uploads: Arc<FakeUploads>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) blobs: Arc<dyn BlobStore>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
    pub(super) config: FederationConfig,
    again: Box<dyn Fn(FederationConfig) -> Arc<FederationFetcher>>,
    /// What all instances share.
    pub(super) state: State,
    _authority: TestAuthority,
    _folder: tempfile::TempDir,
}

/// How long an origin may wait for an upload.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn our_key() -> SigningKey {
    SigningKey::new("ed25519:ours".parse().unwrap(), [7; 32])
}

pub(super) fn us() -> ServerName {
    "us.example".parse().unwrap()
}

impl Fixture {
    /// An origin that answers as `handler` says.
    pub(super) async fn start(handler: impl Fn(&TestRequest) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::start_with(|_| {}, handler).await
    }

    pub(super) async fn start_with(
        change: impl FnOnce(&mut FederationConfig),
        handler: impl Fn(&TestRequest) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::start_previewing(None, change, handler).await
    }

    /// With previews.
    pub(super) async fn start_previewing(
        previews: Option<PreviewsConfig>,
        change: impl FnOnce(&mut FederationConfig),
        handler: impl Fn(&TestRequest) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let authority = TestAuthority::default();
        let server = TestServer::start(&authority, &["origin.example", "media.example"], handler).await;
        let mut config = FederationConfig {
            ca_file: Some(authority.ca_file()),
            allow_addresses: vec!["127.0.0.0/8".parse().unwrap()],
            max_bytes: 10_u64.pow(7).to_string().parse().unwrap(),
            ..FederationConfig::default()
        };
        change(&mut config);
        let client = client_of(&config, &server);
        let previews = previews.map(|previews| {
            let lookup = Arc::new(FixedLookup::new([("origin.example", server.address())]));
            let client = GuardedClient::on(WayOut::for_previews(&config, &previews), lookup).unwrap();
            (previews, client)
        });
        let folder = tempfile::tempdir().unwrap();
        let blobs: Arc<dyn BlobStore> = Arc::new(LocalStore::open(folder.path(), &StorageConfig::default()).unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let state: State = Arc::new(EmbeddedState::in_memory(clock.clone()).unwrap());
        let catalog = Arc::new(Catalog::new(Arc::clone(&blobs), State::clone(&state), clock.clone()));
        let uploads = Arc::new(FakeUploads {
            catalog: Arc::clone(&catalog),
            blobs: Arc::clone(&blobs),
            next: AtomicU64::new(1),
            open: Mutex::default(),
            log: Mutex::default(),
            refuse_begin: Mutex::default(),
            refuse_progress: Mutex::default(),
            refuse_commit: Mutex::default(),
            idle_timeout: Mutex::new(Duration::from_mins(1)),
            reported: Notify::new(),
            shares: AtomicBool::new(false),
        });
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let start = {
            let (blobs, catalog, uploads) = (Arc::clone(&blobs), Arc::clone(&catalog), Arc::clone(&uploads));
            let (clock, tasks, shutdown) = (Arc::clone(&clock), tasks.clone(), shutdown.clone());
            let state = State::clone(&state);
            move |config| {
                let deps = Deps {
                    blobs: Arc::clone(&blobs),
                    catalog: Arc::clone(&catalog),
                    uploads: uploads.clone(),
                    previews: previews.clone().map(|(config, client)| PreviewsDeps { config, client }),
                    cluster: None,
                    keys: HashMap::from([(us(), our_key())]),
                    state: State::clone(&state),
                    client: client.clone(),
                    clock: clock.clone() as Arc<dyn Clock>,
                    arbiters: vec![Arbiter::new().handle(), Arbiter::new().handle()],
                    tasks: tasks.clone(),
                    shutdown: shutdown.clone(),
                };
                FederationFetcher::start(config, deps)
            }
        };
        let service = start(config.clone());
        let origin = format!("origin.example:{}", server.port()).parse().unwrap();
        let contract = Arc::clone(&service) as Arc<dyn FederationService>;
        let again = Box::new(start);
        Self {
            service,
            contract,
            server,
            origin,
            uploads,
            catalog,
            blobs,
            clock,
            tasks,
            shutdown,
            config,
            again,
            state,
            _authority: authority,
            _folder: folder,
        }
    }

    /// Another instance, which shares the state with this one; or this one after a restart.
    pub(super) fn restart(&mut self) {
        self.service = (self.again)(self.config.clone());
        self.contract = Arc::clone(&self.service) as Arc<dyn FederationService>;
    }

    /// Starts again with other settings.
    pub(super) fn reconfigure(&mut self, change: impl FnOnce(&mut FederationConfig)) {
        change(&mut self.config);
        self.restart();
    }

    /// The name of another server that is reached in the same place.
    pub(super) fn other(&self) -> ServerName {
        self.origin.as_str().replace("origin", "media").parse().unwrap()
    }

    /// The same, reached this way.
    pub(super) async fn by(mut self, way: Way) -> Self {
        self.contract = way.to_federation(self.contract).await;
        self
    }

    pub(super) fn mxc(&self, media_id: &str) -> Mxc {
        Mxc { server_name: self.origin.clone(), media_id: media_id.parse().unwrap() }
    }

    pub(super) async fn fetch(&self, media_id: &str) -> Result<RemoteMedia, Failure> {
        self.fetch_within(media_id, PATIENCE).await
    }

    /// Fetches, waiting for the upload for so long.
    pub(super) async fn fetch_within(&self, media_id: &str, timeout: Duration) -> Result<RemoteMedia, Failure> {
        self.contract.fetch(Fetch { tenant: us(), mxc: self.mxc(media_id), timeout, for_thumbnail: false }).await
    }

    /// Fetches and reads to the end.
    pub(super) async fn read(&self, media_id: &str) -> Result<Vec<u8>, Failure> {
        read_all(self.fetch(media_id).await?).await
    }

    pub(super) async fn code(&self, media_id: &str) -> ErrorCode {
        self.read(media_id).await.expect_err("this fails").code
    }

    /// Waits until no fetch is in progress.
    pub(super) async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    pub(super) async fn record(&self, media_id: &str) -> Option<Arc<MediaRecord>> {
        self.catalog.find(&self.mxc(media_id)).await.unwrap()
    }

    pub(super) async fn stored_blobs(&self) -> usize {
        self.stored("blobs").await
    }

    /// How many objects there are below a prefix.
    pub(super) async fn stored(&self, prefix: &str) -> usize {
        let keys: Vec<_> = self.blobs.list(&prefix.to_owned().try_into_key()).try_collect().await.unwrap();
        keys.len()
    }

    pub(super) fn log(&self) -> Vec<&'static str> {
        self.uploads.log.lock().unwrap().clone()
    }

    pub(super) fn targets(&self) -> Vec<String> {
        self.server.requests().iter().map(|request| request.target().to_owned()).collect()
    }
}

/// Finds the names of the origin, for instances of a runtime of their own.
pub(super) fn client_of(config: &FederationConfig, server: &TestServer) -> GuardedClient {
    let names = [("origin.example", server.address()), ("media.example", server.address())];
    GuardedClient::new(config, Arc::new(FixedLookup::new(names))).unwrap()
}

trait TryIntoKey {
    fn try_into_key(self) -> heliograph_blobs::Key;
}

impl TryIntoKey for String {
    fn try_into_key(self) -> heliograph_blobs::Key {
        heliograph_blobs::Key::new(self).unwrap()
    }
}

pub(super) async fn read_all(media: RemoteMedia) -> Result<Vec<u8>, Failure> {
    let append = |mut all: Vec<u8>, piece: bytes::Bytes| async move {
        all.extend_from_slice(&piece);
        Ok(all)
    };
    media.body.try_fold(Vec::new(), append).await
}

/// What precedes the content in a multipart answer.
pub(super) const BEFORE: &str = "\r\n--B\r\nContent-Type: application/json\r\n\r\n{}\r\n--B\r\nContent-Type: text/plain\r\nContent-Disposition: inline; filename=a.txt\r\n\r\n";
pub(super) const AFTER: &str = "\r\n--B--\r\n";
pub(super) const MULTIPART: &str = "Content-Type: multipart/mixed; boundary=B\r\n";

/// A good federation answer.
pub(super) fn media(content: impl AsRef<[u8]>) -> Vec<Step> {
    let body = [BEFORE.as_bytes(), content.as_ref(), AFTER.as_bytes()].concat();
    heliograph_matrix::testing::answer("200 OK", MULTIPART, body)
}

/// The head of an answer without a length; its end is that of the connection.
pub(super) fn open_head() -> Step {
    open_head_of(MULTIPART)
}

pub(super) fn open_head_of(headers: &str) -> Step {
    Step::Send(format!("HTTP/1.1 200 OK\r\n{headers}Connection: close\r\n\r\n").into_bytes())
}

pub(super) fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}
