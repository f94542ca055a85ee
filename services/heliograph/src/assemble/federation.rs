//! The federation fetcher.

use std::{collections::HashMap, sync::Arc};

use anyhow::Context;
use heliograph_federation_fetcher::{ClusterDeps, FederationFetcher, PreviewsDeps};
use heliograph_leases::State;
use heliograph_matrix::{FederationConfig, GuardedClient, PreviewsConfig, Resolver, SigningKey, Way};
use heliograph_proto::{GrpcFederationServer, GrpcFetchPeerServer, UploadService};
use heliograph_runtime::{Life, Metrics, Routes};
use heliograph_types::ServerName;
use url::Url;

use super::{
    advertise, behind, links,
    parts::Parts,
    tenants::{Tenant, load_tenants},
};
use crate::{cli::Role, settings::Settings};

/// Starts it alone; returns when it listens.
pub(super) async fn start(settings: Settings, life: Life, metrics: Metrics) -> anyhow::Result<()> {
    behind::start(settings, Role::Federation, life, metrics, async |parts, listen| {
        let tenants = load_tenants(&parts.settings)?;
        let uploads = links::link_uploads(&parts.settings.cluster, &parts.life)?;
        let url = advertise::find_url(&parts.settings, listen).await;
        let federation = build_federation(parts, &tenants, uploads, url)?;
        let routes = Routes::new(GrpcFederationServer::new(Arc::clone(&federation) as _));
        Ok(routes.add_service(GrpcFetchPeerServer::new(federation)))
    })
    .await
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
