//! The other roles, and the homeserver, as the tests of this crate want them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use heliograph_blobs::{BlobStore, Key, LocalStore, StorageConfig};
use heliograph_catalog::{Catalog, MediaRecord, thumbnail_key};
use heliograph_leases::{EmbeddedState, State};
use heliograph_matrix::{
    AuthError, DevelopmentHomeservers, KeyId, Presented, Refusal, Requester, ServerLists, SigningKey, TokenChecker,
};
use heliograph_proto::{
    Begin, Block, Commit, Complete, Describe, Description, FederationService, Fetch, FetchThumbnail, FindKey, FoundKey,
    ListUploads, Moderate, Presign, Preview, Remake, RemoteMedia, Render, Reservation, Reserve, Thumbnail,
    ThumbnailService, Ticket, UploadService, Uploads, Usage,
};
use heliograph_runtime::{Health, Metrics, Readiness};
use heliograph_types::{
    Clock, ContentType, Failure, ManualClock, ServerName, Sizes, SystemClock, ThumbnailVariant, Timestamp, UserId,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use crate::{
    ApiConfig, Deps, LimitsConfig, RedirectsConfig,
    server::{Front, build_front},
};

pub(crate) const BLOB: &str = "blobs/a-blob";

/// The key of every remote server.
pub(crate) fn remote_key() -> SigningKey {
    SigningKey::new("ed25519:1".parse::<KeyId>().unwrap(), [7; 32])
}

pub(crate) struct House {
    _folder: TempDir,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) deps: Deps,
    pub(crate) config: ApiConfig,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A house of `ours.example` with the medium `here`.
    pub(crate) async fn with(change: impl FnOnce(&mut ApiConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs: Arc<dyn BlobStore> = Arc::new(LocalStore::open(folder.path(), &StorageConfig::default()).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let state: State = Arc::new(EmbeddedState::in_memory(Arc::clone(&clock)).unwrap());
        let catalog = Arc::new(Catalog::new(Arc::clone(&blobs), Arc::clone(&state), Arc::clone(&clock)));
        blobs.put(&Key::new(BLOB).unwrap(), Bytes::from_static(b"content")).await.unwrap();
        let mut config = ApiConfig::default();
        change(&mut config);
        let others = Arc::new(Others { failure: None });
        let deps = Deps {
            server_names: vec!["ours.example".parse().unwrap()],
            sites: vec![],
            published_keys: HashMap::new(),
            limits: LimitsConfig::default(),
            redirects: RedirectsConfig::default(),
            takes_in_remote_media: true,
            sizes: Sizes::default(),
            formats: vec![],
            premake_queue: None,
            previews: false,
            servers: ServerLists::default(),
            write_reads_every: Duration::from_mins(1),
            state: State::clone(&state),
            direct_uploads: false,
            has_quotas: false,
            homeservers: Arc::new(DevelopmentHomeservers::new("@admin:ours.example".parse().unwrap())),
            tokens: Arc::new(Tokens),
            uploads: others.clone(),
            thumbnails: others.clone(),
            federation: others,
            blobs,
            catalog: Arc::clone(&catalog),
            clock,
            health: Health { readiness: Readiness::default(), metrics: Metrics::detached() },
            max_upload_bytes: 100,
            strip_metadata: Vec::new(),
            runtime: tokio::runtime::Handle::current(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        };
        let house = Self { _folder: folder, catalog, deps, config };
        house.record("mxc://ours.example/here", Some("@alice:ours.example")).await;
        house
    }

    /// The same with tokens that these know, at a time that stands still.
    pub(crate) fn knowing(mut self, tokens: Arc<dyn TokenChecker>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(SystemClock.now()));
        let (blobs, state) = (Arc::clone(&self.deps.blobs), State::clone(&self.deps.state));
        self.catalog = Arc::new(Catalog::new(blobs, state, Arc::clone(&clock)));
        self.deps.catalog = Arc::clone(&self.catalog);
        self.deps.clock = clock;
        self.deps.tokens = tokens;
        self
    }

    /// What its health endpoints show.
    pub(crate) fn health(&self) -> Health {
        self.deps.health.clone()
    }

    pub(crate) fn front(&self) -> Arc<Front> {
        Arc::new(build_front(self.config.clone(), self.deps.clone()).unwrap())
    }

    pub(crate) async fn record(&self, mxc: &str, uploader: Option<&str>) {
        let record = MediaRecord {
            schema: MediaRecord::SCHEMA,
            mxc: mxc.parse().unwrap(),
            content_type: ContentType::octet_stream(),
            sniffed_type: None,
            size_bytes: 7,
            sha256: hex::encode(Sha256::digest(b"content")),
            blob: BLOB.to_owned(),
            upload: None,
            direct: false,
            uploader: uploader.map(|user| user.parse::<UserId>().unwrap()),
            file_name: None,
            created_at: Timestamp::from_millis(1),
            quarantined: None,
            protected: false,
            deleted: None,
        };
        self.catalog.create(&record).await.unwrap();
    }

    /// Stores something like a picture as a thumbnail that was made before; it ends with what it is.
    pub(crate) async fn thumbnail(&self, mxc: &str, variant: ThumbnailVariant) {
        let png = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), variant.to_string().as_bytes()].concat();
        self.deps.blobs.put(&thumbnail_key(&mxc.parse().unwrap(), variant), png.into()).await.unwrap();
    }
}

/// Each token is named after what becomes of it.
#[derive(Debug)]
struct Tokens;

#[async_trait]
impl TokenChecker for Tokens {
    async fn check(&self, presented: &Presented) -> Result<Requester, AuthError> {
        let refused = |body: &'static str| {
            AuthError::Refused(Refusal { status: 401, body: Bytes::from_static(body.as_bytes()), retry_after: None })
        };
        match presented.token.expose().as_str() {
            name @ ("admin" | "alice" | "guest") => Ok(Requester {
                user_id: format!("@{name}:ours.example").parse().unwrap(),
                device_id: None,
                is_application_service: false,
                is_guest: name == "guest",
            }),
            "down" => Err(AuthError::Unavailable("it is down".to_owned())),
            "locked" => Err(refused(r#"{"errcode":"M_USER_LOCKED","error":"locked","soft_logout":true}"#)),
            _ => Err(refused(r#"{"errcode":"M_UNKNOWN_TOKEN","error":"unknown"}"#)),
        }
    }
}

/// The other roles. None of these tests gets as far as to upload or to render.
pub(crate) struct Others {
    pub(crate) failure: Option<Failure>,
}

impl Others {
    fn fail<T>(&self) -> Result<T, Failure> {
        Err(self.failure.clone().unwrap_or_else(|| Failure::internal("nobody should ask")))
    }
}

#[async_trait]
impl UploadService for Others {
    async fn reserve(&self, _: Reserve) -> Result<Reservation, Failure> {
        self.fail()
    }

    async fn presign(&self, _: Presign) -> Result<String, Failure> {
        self.fail()
    }

    async fn complete(&self, _: Complete) -> Result<(), Failure> {
        self.fail()
    }

    async fn begin(&self, _: Begin) -> Result<Ticket, Failure> {
        self.fail()
    }

    async fn progress(&self, _: &Ticket, _: u64) -> Result<(), Failure> {
        self.fail()
    }

    async fn commit(&self, _: Commit) -> Result<(), Failure> {
        self.fail()
    }

    async fn abort(&self, _: &Ticket) -> Result<(), Failure> {
        self.fail()
    }

    async fn moderate(&self, _: Moderate) -> Result<bool, Failure> {
        self.fail()
    }

    async fn block(&self, _: Block) -> Result<(), Failure> {
        self.fail()
    }

    async fn usage(&self, _: &UserId) -> Result<Usage, Failure> {
        self.fail()
    }

    async fn list_uploads(&self, _: ListUploads) -> Result<Uploads, Failure> {
        self.fail()
    }

    async fn purge_copies(&self, read_before: Timestamp) -> Result<u64, Failure> {
        Ok(read_before.as_millis() % 1000)
    }
}

#[async_trait]
impl ThumbnailService for Others {
    async fn render(&self, _: Render) -> Result<Thumbnail, Failure> {
        // It knows no medium: all of them are gone.
        Err(Failure::not_found())
    }

    async fn remake(&self, _: Remake) -> Result<Thumbnail, Failure> {
        self.fail()
    }

    async fn describe(&self, _: Describe) -> Result<Description, Failure> {
        self.fail()
    }
}

#[async_trait]
impl FederationService for Others {
    async fn fetch(&self, _: Fetch) -> Result<RemoteMedia, Failure> {
        self.fail()
    }

    async fn fetch_thumbnail(&self, _: FetchThumbnail) -> Result<Bytes, Failure> {
        self.fail()
    }

    async fn find_key(&self, request: FindKey) -> Result<Option<FoundKey>, Failure> {
        let now = SystemClock.now();
        let found = |valid_until| Ok(Some(FoundKey { public_key: remote_key().public_key(), valid_until }));
        match request.server_name.as_str() {
            "unreachable.example" => self.fail(),
            "crowded.example" => Err(Failure::saturated("no room", Duration::from_secs(1))),
            "keyless.example" => Ok(None),
            "expired.example" => found(now),
            _ => found(now + Duration::from_hours(1)),
        }
    }

    async fn locate(&self, server_name: &ServerName) -> Result<Url, Failure> {
        Ok(format!("https://{server_name}:8448/").parse().unwrap())
    }

    async fn preview(&self, _: Preview) -> Result<Bytes, Failure> {
        self.fail()
    }
}
