//! The HTTP server: what all requests share, and how it begins and ends.

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use actix_web::{App, HttpRequest, HttpServer, http::header::HOST, middleware::from_fn, web::Data};
use heliograph_blobs::BlobStore;
use heliograph_catalog::Catalog;
use heliograph_matrix::TokenChecker;
use heliograph_proto::{FederationService, ThumbnailService, UploadService};
use heliograph_types::{Clock, ServerName};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{ApiConfig, Deps, headers, hot::HotFiles, remote_keys::RemoteKeys, routes, work::Work};

/// The longest that requests in progress may take after shutdown began; the process ends
/// earlier if its own grace is shorter.
const DRAIN_SECONDS: u64 = 24 * 60 * 60;

/// What all requests share.
pub(crate) struct Front {
    pub(crate) config: ApiConfig,
    pub(crate) server_names: Vec<ServerName>,
    pub(crate) tokens: Arc<dyn TokenChecker>,
    pub(crate) uploads: Arc<dyn UploadService>,
    pub(crate) thumbnails: Arc<dyn ThumbnailService>,
    pub(crate) federation: Arc<dyn FederationService>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hot: HotFiles,
    pub(crate) remote_keys: RemoteKeys,
    pub(crate) waiting: Semaphore,
    pub(crate) max_upload_bytes: u64,
    pub(crate) work: Work,
    pub(crate) shutdown: CancellationToken,
}

impl Front {
    /// Whether this is one of our server names.
    pub(crate) fn is_ours(&self, server_name: &ServerName) -> bool {
        self.server_names.contains(server_name)
    }

    /// Our server name for a request that names none: the one of its `Host`, else the first.
    /// Other headers are not asked: anybody can send them through any proxy.
    pub(crate) fn tenant_by_host(&self, request: &HttpRequest) -> ServerName {
        let host = request.headers().get(HOST).and_then(|value| value.to_str().ok());
        let by_host = self.server_names.iter().find(|name| Some(name.as_str()) == host);
        by_host.unwrap_or(&self.server_names[0]).clone()
    }
}

/// Serves HTTP on `listener` until shutdown, then until what is in progress is done.
///
/// # Panics
///
/// Without a single server name.
pub async fn serve(config: ApiConfig, deps: Deps, listener: TcpListener) -> io::Result<()> {
    assert!(!deps.server_names.is_empty(), "a front has at least one server name");
    let (health, shutdown) = (deps.health.clone(), deps.shutdown.clone());
    let workers = config.workers.map_or_else(available_cores, Into::into);
    let (connections, head_timeout) = (config.max_connections, config.head_timeout);
    let front = Data::new(build_front(config, deps));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(front.clone())
            .wrap(from_fn(headers::cors))
            .wrap(from_fn(heliograph_runtime::http_span))
            .configure(|config| heliograph_runtime::configure_health(config, &health))
            .configure(routes::configure)
    })
    .disable_signals()
    .client_request_timeout(head_timeout)
    .client_disconnect_timeout(Duration::from_secs(5))
    .keep_alive(Duration::from_secs(75))
    // A client that hangs up is gone: what it waited for ends.
    .h1_allow_half_closed(false)
    .max_connections((connections / workers).max(1))
    .shutdown_timeout(DRAIN_SECONDS)
    .workers(workers)
    .listen(listener)?
    .run();
    heliograph_runtime::run_until(server, shutdown).await
}

fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(2, Into::into)
}

pub(crate) fn build_front(config: ApiConfig, deps: Deps) -> Front {
    Front {
        hot: HotFiles::new(config.hot_bytes.as_u64(), config.hot_file_bytes.as_u64()),
        remote_keys: RemoteKeys::new(),
        waiting: Semaphore::new(config.max_waiting.min(Semaphore::MAX_PERMITS)),
        config,
        server_names: deps.server_names,
        tokens: deps.tokens,
        uploads: deps.uploads,
        thumbnails: deps.thumbnails,
        federation: deps.federation,
        blobs: deps.blobs,
        catalog: deps.catalog,
        clock: deps.clock,
        max_upload_bytes: deps.max_upload_bytes,
        work: Work { tasks: deps.tasks, runtime: deps.runtime },
        shutdown: deps.shutdown,
    }
}
