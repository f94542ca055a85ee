//! Puts roles together from their parts, and starts them.
//!
//! In `serve` the services meet without a socket; a role alone serves its contract over gRPC
//! and calls the others over links. Which of both it is, no service can tell.

mod advertise;
mod edge;
mod identity;
mod links;
mod parts;
mod services;
mod store_lock;

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use anyhow::Context;
use heliograph_matrix::{RemoteMediaMode, ServerLists};
use heliograph_proto::{
    FederationService, GrpcFederationServer, GrpcFetchPeerServer, GrpcThumbnailServer, GrpcUploadServer,
    ThumbnailService, UploadService,
};
use heliograph_runtime::{GrpcServerConfig, Life, Metrics, Routes, Telemetry, bind, serve_grpc, serve_health};

pub(crate) use self::identity::homeserver;
use self::{identity::Identity, parts::Parts};
use crate::{
    cli::Role,
    data_folder,
    development::{Development, find_or_reserve, welcome},
    failure::Failed,
    settings::Settings,
};

/// Starts a role; returns when it listens.
pub(crate) async fn start(settings: Settings, role: Role, life: Life) -> Result<(), Failed> {
    // Two libraries ask for TLS; both shall use this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let telemetry = Telemetry::start(&settings.telemetry, service_name(role)).context("telemetry")?;
    life.at_the_end(telemetry.flush());
    for (key, doubt) in settings.doubts() {
        tracing::warn!("{key}: {doubt}");
    }
    let metrics = Metrics::install(role.name(), env!("CARGO_PKG_VERSION")).context("telemetry")?;
    life.tasks.spawn(metrics.clone().keep_up(life.idle.clone()));
    match role {
        Role::Serve => serve(settings, life.clone(), metrics).await?,
        Role::Api => api(settings, life.clone(), metrics).await?,
        Role::Edge => edge::start(&settings, &life, metrics)?,
        Role::Uploads | Role::Thumbnails | Role::Federation => behind(settings, role, life.clone(), metrics).await?,
    }
    // Only now: everything that can be asked has been registered.
    life.tasks.spawn(life.readiness.clone().watch(life.idle.clone()));
    Ok(())
}

const fn service_name(role: Role) -> &'static str {
    match role {
        Role::Serve => "heliograph",
        Role::Api => "heliograph-api",
        Role::Uploads => "heliograph-uploads",
        Role::Thumbnails => "heliograph-thumbnails",
        Role::Federation => "heliograph-federation",
        Role::Edge => "heliograph-edge",
    }
}

/// Everything in this process.
async fn serve(settings: Settings, life: Life, metrics: Metrics) -> anyhow::Result<()> {
    let listener = bind(settings.api.listen, "api.listen")?;
    let peers = open_for_peers(&settings)?;
    let folder = data_folder::prepare(&settings.data.folder)?;
    let parts = Parts::open(Arc::new(settings), &folder, life, metrics).await?;
    let development = parts.settings.is_development().then(|| Development::prepare(&folder)).transpose()?;
    let identity = match &development {
        Some(development) => Identity::of_development(development),
        None => Identity::load(&parts)?,
    };
    let uploads = services::build_uploads(&parts);
    let url = parts.settings.cluster.advertise_url.clone();
    let federation = services::build_federation(&parts, &identity.tenants, Arc::clone(&uploads), url)?;
    if let Some(calls) = peers {
        serve_calls(&parts.life, calls, Routes::new(GrpcFetchPeerServer::new(Arc::clone(&federation) as _)));
    }
    let services =
        Services { thumbnails: services::build_thumbnails(&parts)?, federation, uploads: Arc::clone(&uploads) };
    let listen = serve_api(&parts, identity, services, listener)?;
    if let Some(development) = development {
        greet(&development, &parts, &*uploads, listen).await;
    }
    tracing::info!(%listen, "heliograph serves");
    Ok(())
}

/// Where other instances follow our fetches, if they know of us and there are any.
fn open_for_peers(settings: &Settings) -> anyhow::Result<Option<TcpListener>> {
    let is_known = settings.cluster.advertise_url.is_some() && settings.state.redis_url.is_some();
    Ok(is_known.then(|| bind(settings.cluster.grpc_listen, "cluster.grpc_listen")).transpose()?)
}

fn serve_calls(life: &Life, calls: TcpListener, routes: Routes) {
    life.serve(
        "gRPC",
        serve_grpc(calls, routes, GrpcServerConfig::default(), life.leaving.clone(), life.shutdown.clone()),
    );
}

/// The HTTP front, with the other roles in other processes.
async fn api(settings: Settings, life: Life, metrics: Metrics) -> anyhow::Result<()> {
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

/// A role behind gRPC.
async fn behind(settings: Settings, role: Role, life: Life, metrics: Metrics) -> anyhow::Result<()> {
    let calls = bind(settings.cluster.grpc_listen, "cluster.grpc_listen")?;
    let health = bind(settings.cluster.health_listen, "cluster.health_listen")?;
    let folder = settings.data.folder.clone();
    let parts = Parts::open(Arc::new(settings), &folder, life, metrics).await?;
    let routes = match role {
        Role::Uploads => Routes::new(GrpcUploadServer::new(services::build_uploads(&parts))),
        Role::Thumbnails => Routes::new(GrpcThumbnailServer::new(services::build_thumbnails(&parts)?)),
        Role::Serve | Role::Api | Role::Edge | Role::Federation => {
            let tenants = identity::load_tenants(&parts.settings)?;
            let uploads = links::link_uploads(&parts.settings.cluster, &parts.life)?;
            let url = advertise::find_url(&parts.settings, calls.local_addr()?).await;
            let federation = services::build_federation(&parts, &tenants, uploads, url)?;
            let routes = Routes::new(GrpcFederationServer::new(Arc::clone(&federation) as _));
            routes.add_service(GrpcFetchPeerServer::new(federation))
        }
    };
    let (listen, life) = (calls.local_addr()?, &parts.life);
    serve_calls(life, calls, routes);
    life.serve_to_the_end("health", serve_health(health, parts.health.clone(), life.idle.clone()));
    tracing::info!(%listen, "heliograph {role} serves");
    Ok(())
}

/// The contracts that the HTTP front calls.
struct Services {
    uploads: Arc<dyn UploadService>,
    thumbnails: Arc<dyn ThumbnailService>,
    federation: Arc<dyn FederationService>,
}

fn serve_api(
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
        premakes: !parts.settings.thumbnails.premade.is_empty(),
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

/// Prints how to try it out.
async fn greet(development: &Development, parts: &Parts, uploads: &dyn UploadService, listen: SocketAddr) {
    match find_or_reserve(development, &parts.catalog, uploads).await {
        // Nobody reading is no reason to end.
        Ok(mxc) => drop(io::stdout().write_all(welcome(development, listen, &mxc).as_bytes())),
        Err(error) => tracing::warn!("no welcome: {error:#}"),
    }
}
