//! Everything in one process: the services meet without a socket.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use heliograph_proto::{GrpcFetchPeerServer, UploadService};
use heliograph_runtime::{Life, Metrics, Routes, bind};

use super::{
    api::{Services, serve_api},
    behind::serve_calls,
    federation::build_federation,
    identity::Identity,
    parts::Parts,
    thumbnails::build_thumbnails,
    uploads::build_uploads,
};
use crate::{
    data_folder,
    development::{Development, find_or_reserve, welcome},
    settings::Settings,
};

/// Starts everything in this process; returns when it listens.
pub(super) async fn start(settings: Settings, life: Life, metrics: Metrics) -> anyhow::Result<()> {
    let listener = bind(settings.api.listen, "api.listen")?;
    let peers = open_for_peers(&settings)?;
    let folder = data_folder::prepare(&settings.data.folder)?;
    let parts = Parts::open(Arc::new(settings), &folder, life, metrics).await?;
    let development = parts.settings.is_development().then(|| Development::prepare(&folder)).transpose()?;
    let identity = match &development {
        Some(development) => Identity::of_development(development),
        None => Identity::load(&parts)?,
    };
    let uploads = build_uploads(&parts);
    let url = parts.settings.cluster.advertise_url.clone();
    let federation = build_federation(&parts, &identity.tenants, Arc::clone(&uploads), url)?;
    if let Some(calls) = peers {
        serve_calls(&parts.life, calls, Routes::new(GrpcFetchPeerServer::new(Arc::clone(&federation) as _)));
    }
    let services = Services { thumbnails: build_thumbnails(&parts)?, federation, uploads: Arc::clone(&uploads) };
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

/// Prints how to try it out.
async fn greet(development: &Development, parts: &Parts, uploads: &dyn UploadService, listen: SocketAddr) {
    match find_or_reserve(development, &parts.catalog, uploads).await {
        // Nobody reading is no reason to end.
        Ok(mxc) => drop(io::stdout().write_all(welcome(development, listen, &mxc).as_bytes())),
        Err(error) => tracing::warn!("no welcome: {error:#}"),
    }
}
