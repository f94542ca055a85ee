//! The services of this process.

use std::{collections::HashMap, sync::Arc};

use anyhow::Context;
use heliograph_federation_fetcher::{ClusterDeps, FederationFetcher, PreviewsDeps};
use heliograph_leases::State;
use heliograph_matrix::{FederationConfig, GuardedClient, PreviewsConfig, Resolver, SigningKey, Way};
use heliograph_proto::{ThumbnailService, UploadService};
use heliograph_settings::Problems;
use heliograph_thumbnailer::{CannotStart, Thumbnailer};
use heliograph_types::ServerName;
use heliograph_upload_orchestrator::UploadOrchestrator;
use url::Url;

use super::{identity::Tenant, parts::Parts};
use crate::render_worker::render_workers;

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
pub(super) fn build_thumbnails(parts: &Parts) -> anyhow::Result<Arc<dyn ThumbnailService>> {
    let deps = heliograph_thumbnailer::Deps {
        blobs: Arc::clone(&parts.blobs),
        catalog: Arc::clone(&parts.catalog),
        state: State::clone(&parts.state),
        // Embedded state is that of one process: there are no others.
        has_peers: parts.settings.state.redis_url.is_some(),
        tasks: parts.life.tasks.clone(),
    };
    let arbiter = parts.life.arbiters.pick();
    let started = Thumbnailer::start(parts.settings.thumbnails.clone(), deps, render_workers(), &arbiter);
    match started {
        Ok(thumbnailer) => Ok(thumbnailer),
        Err(error @ CannotStart::Lacking(_)) => {
            let mut problems = Problems::default();
            problems.push("thumbnails.jail", error.to_string());
            Err(problems.into())
        }
        Err(error) => Err(error.into()),
    }
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
    let client = GuardedClient::new(&config, Arc::clone(&lookup) as _).context("[federation]")?;
    let previews = build_previews(&config, &parts.settings.previews, lookup)?;
    let deps = heliograph_federation_fetcher::Deps {
        blobs: Arc::clone(&parts.blobs),
        catalog: Arc::clone(&parts.catalog),
        uploads,
        previews,
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

/// What previews are made with, if they are.
fn build_previews(
    federation: &FederationConfig,
    config: &PreviewsConfig,
    lookup: Arc<Resolver>,
) -> anyhow::Result<Option<PreviewsDeps>> {
    if !config.enabled {
        return Ok(None);
    }
    let client = GuardedClient::on(Way::for_previews(federation, config), lookup).context("[previews]")?;
    Ok(Some(PreviewsDeps { config: config.clone(), client }))
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
