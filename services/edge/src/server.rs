//! What all requests share, and how the server begins and ends.

use std::{
    io,
    net::{IpAddr, TcpListener},
    sync::Arc,
};

use actix_web::web::Data;
use heliograph_types::Clock;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Deps, EdgeConfig,
    cache::Cache,
    fresh::Fresh,
    listen,
    sizes::Sizes,
    target::{Offers, Spares},
    upstream::Upstream,
};

/// What all requests share.
pub(crate) struct Edge {
    pub(crate) config: EdgeConfig,
    pub(crate) upstream: Upstream,
    pub(crate) cache: Arc<Cache>,
    pub(crate) fresh: Fresh,
    pub(crate) sizes: Sizes,
    pub(crate) spares: Spares,
    pub(crate) offers: Offers,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

impl Edge {
    /// Whether a reverse proxy of this place connects from here.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        self.config.proxies.iter().any(|range| range.contains(&address))
    }

    /// Begins work that goes on if its client leaves, on the runtime of the process; shutdown
    /// waits for it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.tasks.spawn_on(work, &self.runtime)
    }
}

/// Serves HTTP on `listener` until shutdown, then until what is in progress is done.
pub async fn serve(config: EdgeConfig, deps: Deps, listener: TcpListener) -> io::Result<()> {
    let Deps { cache_folder, health, clock, runtime, tasks, shutdown } = deps;
    let upstream = Upstream::new(&config, runtime.clone())?;
    let cache = Cache::open(cache_folder, &config, Arc::clone(&clock)).await?;
    let edge = Edge {
        fresh: Fresh::new(config.fresh_for, Arc::clone(&clock)),
        sizes: Sizes::new(Arc::clone(&clock)),
        spares: Spares::default(),
        offers: Offers::default(),
        config,
        upstream,
        cache: Arc::new(cache),
        clock,
        runtime,
        tasks,
        shutdown: shutdown.clone(),
    };
    let server = listen::start(Data::new(edge), health, listener)?;
    heliograph_runtime::run_until(server, shutdown).await
}
