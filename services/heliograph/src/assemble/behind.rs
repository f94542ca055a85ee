//! A role that others call: it listens for gRPC, and answers about its health at a port of its own.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use heliograph_runtime::{GrpcServerConfig, Life, Metrics, Routes, bind, serve_grpc, serve_health};

use super::parts::Parts;
use crate::{cli::Role, settings::Settings};

/// Opens the parts, has `build` make of them what is called, and serves it.
pub(super) async fn start(
    settings: Settings,
    role: Role,
    life: Life,
    metrics: Metrics,
    build: impl AsyncFnOnce(&Parts, SocketAddr) -> anyhow::Result<Routes>,
) -> anyhow::Result<()> {
    let calls = bind(settings.cluster.grpc_listen, "cluster.grpc_listen")?;
    let health = bind(settings.cluster.health_listen, "cluster.health_listen")?;
    let listen = calls.local_addr()?;
    let folder = settings.data.folder.clone();
    let parts = Parts::open(Arc::new(settings), &folder, life, metrics).await?;
    let routes = build(&parts, listen).await?;
    let life = &parts.life;
    serve_calls(life, calls, routes);
    life.serve_to_the_end("health", serve_health(health, parts.health.clone(), life.idle.clone()));
    tracing::info!(%listen, "heliograph {role} serves");
    Ok(())
}

/// Answers calls until shutdown.
pub(super) fn serve_calls(life: &Life, calls: TcpListener, routes: Routes) {
    life.serve(
        "gRPC",
        serve_grpc(calls, routes, GrpcServerConfig::default(), life.leaving.clone(), life.shutdown.clone()),
    );
}
