//! The HTTP front.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use heliograph_matrix::{RemoteMediaMode, ServerLists};
use heliograph_proto::{FederationService, ThumbnailService, UploadService};
use heliograph_runtime::{Life, Metrics, bind};

use super::{
    identity::{self, Identity},
    links,
    parts::Parts,
};
use crate::settings::Settings;

/// Starts it alone, with the other roles in other processes; returns when it listens.
pub(super) async fn start(settings: Settings, life: Life, metrics: Metrics) -> anyhow::Result<()> {
    let listener = bind(settings.api.listen, "api.listen")?;
    let folder = settings.data.folder.clone();
    let parts = Parts::open(Arc::new(settings), &folder, life, metrics).await?;
    let identity = Identity::load(&parts)?;
    let cluster = &parts.settings.cluster;
    let services = Services {
        uploads: links::link_uploads(cluster, &parts.life)?,
        thumbnails: links::link_thumbnails(cluster, &parts.life)?,
        federation: links::link_federation(cluster, &parts.life)?,
    };
    let listen = serve_api(&parts, identity, services, listener)?;
    tracing::info!(%listen, "heliograph api serves");
    Ok(())
}

/// The contracts that the HTTP front calls.
pub(super) struct Services {
    pub(super) uploads: Arc<dyn UploadService>,
    pub(super) thumbnails: Arc<dyn ThumbnailService>,
    pub(super) federation: Arc<dyn FederationService>,
}

/// Serves it; where it listens.
pub(super) fn serve_api(
    parts: &Parts,
    identity: Identity,
    services: Services,
    listener: TcpListener,
) -> anyhow::Result<SocketAddr> {
    let listen = listener.local_addr()?;
    identity::watch_homeservers(&parts.settings, &parts.life.readiness);
    let deps = heliograph_api::Deps {
        server_names: identity.tenants.into_iter().map(|tenant| tenant.server_name).collect(),
        sites: parts.settings.homeservers.clone(),
        published_keys: identity.published_keys,
        limits: parts.settings.limits.clone(),
        redirects: parts.settings.redirects.clone(),
        takes_in_remote_media: parts.settings.federation.remote_media == RemoteMediaMode::Fetch,
        sizes: parts.settings.thumbnails.sizes(),
        formats: parts.settings.thumbnails.formats.clone(),
        premake_queue: parts.settings.thumbnails.premade_queue(),
        previews: parts.settings.previews.enabled,
        servers: ServerLists::new(&parts.settings.federation),
        write_reads_every: parts.settings.remote_copies.write_reads_every,
        state: Arc::clone(&parts.state),
        direct_uploads: parts.settings.uploads.direct,
        has_quotas: !parts.settings.quotas.is_empty(),
        homeservers: identity.homeservers,
        tokens: identity.tokens,
        uploads: services.uploads,
        thumbnails: services.thumbnails,
        federation: services.federation,
        blobs: Arc::clone(&parts.blobs),
        catalog: Arc::clone(&parts.catalog),
        clock: Arc::clone(&parts.clock),
        health: parts.health.clone(),
        max_upload_bytes: parts.settings.uploads.max_bytes.as_u64(),
        strip_metadata: parts.settings.uploads.strip_metadata.clone(),
        runtime: tokio::runtime::Handle::current(),
        tasks: parts.life.tasks.clone(),
        shutdown: parts.life.shutdown.clone(),
    };
    parts.life.serve("HTTP", heliograph_api::serve(parts.settings.api.clone(), deps, listener));
    Ok(listen)
}
