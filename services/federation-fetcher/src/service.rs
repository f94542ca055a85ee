//! The contract, implemented.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actix_rt::ArbiterHandle;
use async_trait::async_trait;
use bytes::Bytes;
use heliograph_blobs::BlobStore;
use heliograph_catalog::Catalog;
use heliograph_leases::State;
use heliograph_matrix::{Discovery, FederationConfig, GuardedClient, RemoteMediaMode, ServerLists, SigningKey};
use heliograph_proto::{
    FederationService, Fetch, FetchPeer, FetchThumbnail, FindKey, FollowError, Following, FoundKey, Preview,
    RemoteMedia, UploadService,
};
use heliograph_types::{Clock, ErrorCode, Failure, Mxc, ServerName};
use tokio::{runtime::Handle, sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use crate::{
    actors::{origin::Work, registry::Registry},
    ask::Asker,
    cluster::Cluster,
    fetch::Fetcher,
    key_source::KeySource,
    keys::KeyFinder,
    previews::{Previews, PreviewsDeps, Surroundings},
    share::share,
    thumbnails::Thumbnails,
    verdict::{FetchError, OUT_OF_REACH},
};

/// What the fetcher works with.
pub struct Deps {
    /// Where fetched bytes go.
    pub blobs: Arc<dyn BlobStore>,
    /// Where copies that are there already are found.
    pub catalog: Arc<Catalog>,
    /// Who admits and commits copies.
    pub uploads: Arc<dyn UploadService>,
    /// Previews of URLs, if they are made.
    pub previews: Option<PreviewsDeps>,
    /// The other instances, unless there can be none.
    pub cluster: Option<ClusterDeps>,
    /// The names we sign for, each with its key. They are never asked for media.
    pub keys: HashMap<ServerName, SigningKey>,
    /// What all instances share: where servers are, and their keys.
    pub state: State,
    /// The way out.
    pub client: GuardedClient,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where actors live; at least one.
    pub arbiters: Vec<ArbiterHandle>,
    /// Who waits for our fetches at shutdown.
    pub tasks: TaskTracker,
    /// Ends fetches in progress.
    pub shutdown: CancellationToken,
}

/// How instances that fetch know of each other.
pub struct ClusterDeps {
    /// Where the others reach this one's [`FetchPeer`]. Without it they wait for its copies.
    pub url: Option<Url>,
}

/// Fetches media and keys of other servers.
pub struct FederationFetcher {
    registry: Registry,
    thumbnails: Thumbnails,
    keys: Arc<KeyFinder>,
    previews: Option<Arc<Previews>>,
    blobs: Arc<dyn BlobStore>,
    own_names: HashSet<ServerName>,
    servers: ServerLists,
    client: GuardedClient,
    discovery: Arc<Discovery>,
    takes_in: bool,
    asks_for_thumbnails: bool,
    /// How much longer a caller waits for a head than for the upload.
    patience: Duration,
}

impl std::fmt::Debug for FederationFetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FederationFetcher").field("own_names", &self.own_names).finish_non_exhaustive()
    }
}

impl FederationFetcher {
    /// Starts with `config`, inside the runtime on which fetches are to run. The limits of
    /// connections are those of `deps.client`.
    pub fn start(config: FederationConfig, deps: Deps) -> Arc<Self> {
        let Deps { blobs, catalog, uploads, previews, cluster, keys, state, client, clock, arbiters, tasks, shutdown } =
            deps;
        let discovery = Arc::new(Discovery::new(client.clone(), Arc::clone(&clock), State::clone(&state)));
        let runtime = Handle::current();
        let until_connected = config.find_timeout.saturating_add(config.connect_timeout);
        let previews = previews.map(|previews| {
            let around = Surroundings {
                blobs: Arc::clone(&blobs),
                uploads: Arc::clone(&uploads),
                state: State::clone(&state),
                clock: Arc::clone(&clock),
                tasks: tasks.clone(),
                runtime: runtime.clone(),
                until_connected,
            };
            Previews::start(previews, around, shutdown.clone())
        });
        let source = KeySource { client: client.clone(), discovery: Arc::clone(&discovery), clock: Arc::clone(&clock) };
        let shared = State::clone(&state);
        let key_finder = KeyFinder::new(source, config.notaries.clone(), shared, tasks.clone(), runtime.clone());
        let servers = ServerLists::new(&config);
        let own_names = keys.keys().cloned().collect();
        let asker = Asker::new(&config, client.clone(), Arc::clone(&discovery), keys, Arc::clone(&clock));
        let takes_in = config.remote_media == RemoteMediaMode::Fetch;
        let asks_for_thumbnails = config.thumbnail_above.as_u64() > 0;
        let (fetch_timeout, patience) = (config.fetch_timeout, config.until_first_byte());
        let cluster = cluster.map(|ClusterDeps { url }| Cluster::new(state, url));
        let fetcher = Fetcher { asker, blobs: Arc::clone(&blobs), catalog, uploads, cluster, fetch_timeout, shutdown };
        let room = Arc::new(Semaphore::new(config.max_fetches.get().min(Semaphore::MAX_PERMITS)));
        let work = Arc::new(Work { fetcher, config, clock, tasks, runtime, room });
        let thumbnails = Thumbnails::new(Arc::clone(&work));
        let registry = Registry::new(work, arbiters);
        Arc::new(Self {
            registry,
            thumbnails,
            keys: Arc::new(key_finder),
            previews,
            blobs,
            own_names,
            servers,
            client,
            discovery,
            takes_in,
            asks_for_thumbnails,
            patience,
        })
    }

    fn is_own(&self, name: &ServerName) -> bool {
        self.own_names.contains(name)
    }

    /// Refuses what is not to be asked of its origin.
    fn check(&self, mxc: &Mxc, tenant: &ServerName) -> Result<(), Failure> {
        let is_ours = self.is_own(&mxc.server_name) || mxc.server_name == *tenant;
        if is_ours || !self.takes_in || !self.servers.admit(&mxc.server_name) {
            Err(Failure::not_found())
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl FederationService for FederationFetcher {
    async fn fetch(&self, request: Fetch) -> Result<RemoteMedia, Failure> {
        self.check(&request.mxc, &request.tenant)?;
        let (began_at, most) = (Instant::now(), self.patience.saturating_add(request.timeout));
        let mut wait = request.timeout;
        loop {
            let flight = self.registry.want(Fetch { timeout: wait, ..request.clone() }).await?;
            let boarding = flight.clone().board(Arc::clone(&self.blobs), most.saturating_sub(began_at.elapsed()));
            let (media, left) = (boarding.await, request.timeout.saturating_sub(began_at.elapsed()));
            match media {
                // Whoever began the flight did not want to wait for so long.
                Err(failure)
                    if failure.code == ErrorCode::NotYetUploaded && flight.waits_less_than(wait) && !left.is_zero() =>
                {
                    wait = left;
                }
                // Whoever began the flight could do with a thumbnail.
                Err(failure)
                    if failure.code == ErrorCode::RemoteTooLarge
                        && flight.declines_more_than(&request)
                        && began_at.elapsed() < most => {}
                media => return media,
            }
        }
    }

    async fn fetch_thumbnail(&self, request: FetchThumbnail) -> Result<Bytes, Failure> {
        self.check(&request.mxc, &request.tenant)?;
        // Without a bound nothing is too large for its thumbnail but what is for everything.
        if !self.asks_for_thumbnails {
            return Err(FetchError::too_large().failure);
        }
        self.thumbnails.fetch(request).await
    }

    async fn find_key(&self, FindKey { server_name, key_id }: FindKey) -> Result<Option<FoundKey>, Failure> {
        if !self.servers.admit(&server_name) {
            return Err(Failure::new(ErrorCode::Forbidden, format!("{server_name} is blocked here")));
        }
        match key_id.parse() {
            Ok(key_id) => self.keys.find(&server_name, &key_id).await,
            Err(_) => Ok(None),
        }
    }

    async fn locate(&self, server_name: &ServerName) -> Result<Url, Failure> {
        if self.is_own(server_name) || !self.servers.admit(server_name) {
            return Err(Failure::not_found());
        }
        let base = self.discovery.locate(server_name).await;
        // Nobody is sent into a network that is not public.
        let checked = base.and_then(|base| self.client.check(&base).map(|()| base).map_err(|error| error.to_string()));
        checked.map_err(|reason| {
            tracing::info!(%server_name, reason, "a server cannot be located");
            Failure::new(ErrorCode::BadGateway, OUT_OF_REACH)
        })
    }

    async fn preview(&self, request: Preview) -> Result<Bytes, Failure> {
        let off = || Failure::new(ErrorCode::Unrecognized, "URL previews are switched off");
        self.previews.as_ref().ok_or_else(off)?.find(request).await
    }
}

#[async_trait]
impl FetchPeer for FederationFetcher {
    async fn follow(&self, request: Fetch) -> Result<Following, FollowError> {
        let flight = self.registry.find_flight(&request.mxc).await;
        let flight = flight.filter(|flight| !flight.declines_more_than(&request));
        flight.map(share).ok_or(FollowError::Lost)
    }
}

#[cfg(test)]
impl FederationFetcher {
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) async fn sweep_previews(&self) {
        if let Some(previews) = &self.previews {
            previews.sweep().await;
        }
    }
}
