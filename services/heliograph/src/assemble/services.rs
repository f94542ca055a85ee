//! The services of this process.

use std::{collections::HashMap, sync::Arc};

use anyhow::Context;
use heliograph_federation_fetcher::{ClusterDeps, FederationFetcher};
use heliograph_leases::State;
use heliograph_matrix::{GuardedClient, Resolver, SigningKey};
use heliograph_proto::{ThumbnailService, UploadService};
use heliograph_thumbnailer::Thumbnailer;
use heliograph_types::ServerName;
use heliograph_upload_orchestrator::UploadOrchestrator;
use url::Url;

use super::{identity::Tenant, parts::Parts};

/// The upload orchestrator.
pub(super) fn build_uploads(parts: &Parts) -> Arc<dyn UploadService> {
    let deps = heliograph_upload_orchestrator::Deps {
        quotas: parts.settings.quotas.clone(),
        remote_copies: parts.settings.remote_copies.clone(),
        blobs: Arc::clone(&parts.blobs),
        catalog: Arc::clone(&parts.catalog),
        state: Arc::clone(&parts.state),
        clock: Arc::clone(&parts.clock),
        arbiters: parts.life.arbiters.handles(),
        tasks: parts.life.tasks.clone(),
        shutdown: parts.life.idle.clone(),
        alone: parts.is_alone,
    };
    UploadOrchestrator::start(parts.settings.uploads.clone(), deps)
}

/// The thumbnailer.
pub(super) fn build_thumbnails(parts: &Parts) -> Arc<dyn ThumbnailService> {
    let deps = heliograph_thumbnailer::Deps {
        blobs: Arc::clone(&parts.blobs),
        catalog: Arc::clone(&parts.catalog),
        tasks: parts.life.tasks.clone(),
    };
    Thumbnailer::start(parts.settings.thumbnails.clone(), deps)
}

/// The federation fetcher, which others reach at `url`.
pub(super) fn build_federation(
    parts: &Parts,
    tenants: &[Tenant],
    uploads: Arc<dyn UploadService>,
    url: Option<Url>,
) -> anyhow::Result<Arc<FederationFetcher>> {
    let config = parts.settings.federation.clone();
    let lookup = Arc::new(Resolver::new(&config.nameservers));
    let client = GuardedClient::new(&config, lookup).context("[federation]")?;
    let deps = heliograph_federation_fetcher::Deps {
        blobs: Arc::clone(&parts.blobs),
        catalog: Arc::clone(&parts.catalog),
        uploads,
        // Embedded state is that of one process: there are no others.
        cluster: parts.settings.state.redis_url.is_some().then_some(ClusterDeps { url }),
        keys: collect_keys(tenants),
        state: State::clone(&parts.state),
        client,
        clock: Arc::clone(&parts.clock),
        arbiters: parts.life.arbiters.handles(),
        tasks: parts.life.tasks.clone(),
        // Those whose answer is a fetch are served until then.
        shutdown: parts.life.idle.clone(),
    };
    Ok(FederationFetcher::start(config, deps))
}

fn collect_keys(tenants: &[Tenant]) -> HashMap<ServerName, SigningKey> {
    let mut keys = HashMap::new();
    for Tenant { server_name, key } in tenants {
        if let Some(key) = key {
            keys.insert(server_name.clone(), key.clone());
        } else {
            tracing::warn!("{server_name} gets no media of other servers: homeserver.signing_key_file is not set");
        }
    }
    keys
}
