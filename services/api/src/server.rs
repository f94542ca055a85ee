//! What all requests share, and how the server begins and ends.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, TcpListener},
    sync::Arc,
};

use actix_web::{HttpRequest, http::header::HOST, web::Data};
use heliograph_blobs::BlobStore;
use heliograph_catalog::{Catalog, Change, Copies, thumbnails_prefix};
use heliograph_leases::State;
use heliograph_matrix::{HomeserverConfig, Homeservers, ServerLists, SigningKey, TokenChecker};
use heliograph_proto::{FederationService, ThumbnailService, UploadService};
use heliograph_strip::Kind;
use heliograph_types::{Clock, ServerName, Sizes, ThumbnailFormat};
use tokio::sync::{Semaphore, broadcast::error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::{
    ApiConfig, Deps, freeze::Freeze, hot::HotFiles, limits::Limits, listen, meters::Meters, premake::Premake,
    published::Published, reads::Reads, redirect::Redirects, remote_keys::RemoteKeys, work::Work,
};

/// What all requests share.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the operator")]
pub(crate) struct Front {
    pub(crate) config: ApiConfig,
    pub(crate) server_names: Vec<ServerName>,
    pub(crate) sites: HashMap<ServerName, HomeserverConfig>,
    pub(crate) state: State,
    pub(crate) limits: Arc<Limits>,
    pub(crate) freeze: Freeze,
    pub(crate) redirects: Redirects,
    pub(crate) takes_in_remote_media: bool,
    pub(crate) sizes: Sizes,
    pub(crate) formats: Vec<ThumbnailFormat>,
    pub(crate) premake: Premake,
    pub(crate) previews: bool,
    pub(crate) servers: ServerLists,
    pub(crate) reads: Arc<Reads>,
    pub(crate) published: Published,
    pub(crate) published_keys: HashMap<ServerName, SigningKey>,
    pub(crate) direct_uploads: bool,
    pub(crate) has_quotas: bool,
    pub(crate) homeservers: Arc<dyn Homeservers>,
    pub(crate) tokens: Arc<dyn TokenChecker>,
    pub(crate) uploads: Arc<dyn UploadService>,
    pub(crate) thumbnails: Arc<dyn ThumbnailService>,
    pub(crate) federation: Arc<dyn FederationService>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hot: HotFiles,
    pub(crate) meters: Meters,
    pub(crate) remote_keys: RemoteKeys,
    pub(crate) waiting: Semaphore,
    pub(crate) max_upload_bytes: u64,
    pub(crate) strip_metadata: Vec<Kind>,
    pub(crate) work: Work,
    pub(crate) shutdown: CancellationToken,
}

impl Front {
    /// Whether this is one of our server names.
    pub(crate) fn is_ours(&self, server_name: &ServerName) -> bool {
        self.server_names.contains(server_name)
    }

    /// Whether it is another server with which we have nothing to do.
    pub(crate) fn is_blocked(&self, server_name: &ServerName) -> bool {
        !self.is_ours(server_name) && !self.servers.admit(server_name)
    }

    /// Our server name for a request that names none: the one of its `Host`, else the first.
    /// Other headers are not asked: anybody can send them through any proxy.
    pub(crate) fn tenant_by_host(&self, request: &HttpRequest) -> ServerName {
        let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_of = |name: &&ServerName| {
            let others = self.sites.get(*name).map_or(&[][..], |site| &site.hosts);
            name.as_str() == host || others.iter().any(|other| other.eq_ignore_ascii_case(host))
        };
        self.server_names.iter().find(is_of).unwrap_or(&self.server_names[0]).clone()
    }

    /// Whether a reverse proxy of ours connects from here.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.config.proxies.iter().any(|range| range.contains(&address))
    }

    /// Lets go of what changes elsewhere. Content is only given out after a look at its record,
    /// so this only saves memory.
    async fn follow_changes(front: Data<Self>) {
        let mut changes = front.catalog.changes();
        loop {
            match changes.recv().await {
                Ok(Change::Of(mxc)) => front.hot.forget(thumbnails_prefix(&mxc).as_str()),
                Ok(Change::Unknown) | Err(RecvError::Lagged(_)) => front.hot.clear(),
                Err(RecvError::Closed) => return,
            }
        }
    }
}

/// Serves HTTP on `listener` until shutdown, then until what is in progress is done.
///
/// # Panics
///
/// Without a single server name.
pub async fn serve(config: ApiConfig, deps: Deps, listener: TcpListener) -> io::Result<()> {
    assert!(!deps.server_names.is_empty(), "a front has at least one server name");
    let (health, shutdown, write_reads_every) = (deps.health.clone(), deps.shutdown.clone(), deps.write_reads_every);
    let front = Data::new(build_front(config, deps).map_err(io::Error::other)?);
    let following = front.shutdown.clone().run_until_cancelled_owned(Front::follow_changes(front.clone()));
    front.work.spawn(following);
    front.work.spawn(Arc::clone(&front.reads).write_every(write_reads_every, front.shutdown.clone()));
    let reads = Arc::clone(&front.reads);
    let server = listen::start(front, health, listener)?;
    let outcome = heliograph_runtime::run_until(server, shutdown).await;
    reads.write().await;
    outcome
}

pub(crate) fn build_front(config: ApiConfig, deps: Deps) -> Result<Front, String> {
    Ok(Front {
        hot: HotFiles::new(config.hot_bytes.as_u64(), config.hot_file_bytes.as_u64()),
        meters: Meters::new(&deps.server_names),
        remote_keys: RemoteKeys::new(),
        waiting: Semaphore::new(config.max_waiting.min(Semaphore::MAX_PERMITS)),
        freeze: Freeze::new(&config),
        redirects: Redirects::new(deps.redirects, &deps.blobs)?,
        takes_in_remote_media: deps.takes_in_remote_media,
        sizes: deps.sizes,
        formats: deps.formats,
        premake: Premake::new(deps.premake_queue),
        previews: deps.previews,
        servers: deps.servers,
        limits: Arc::new(Limits::new(deps.limits, State::clone(&deps.state))),
        reads: Arc::new(Reads::new(Copies::new(State::clone(&deps.state)), Arc::clone(&deps.clock))),
        state: deps.state,
        published: Published::default(),
        published_keys: deps.published_keys,
        config,
        sites: deps.sites.into_iter().filter_map(|site| Some((site.server_name.clone()?, site))).collect(),
        direct_uploads: deps.direct_uploads,
        has_quotas: deps.has_quotas,
        homeservers: deps.homeservers,
        server_names: deps.server_names,
        tokens: deps.tokens,
        uploads: deps.uploads,
        thumbnails: deps.thumbnails,
        federation: deps.federation,
        blobs: deps.blobs,
        catalog: deps.catalog,
        clock: deps.clock,
        max_upload_bytes: deps.max_upload_bytes,
        strip_metadata: deps.strip_metadata,
        work: Work { tasks: deps.tasks, runtime: deps.runtime },
        shutdown: deps.shutdown,
    })
}
