//! The thumbnailer.

use std::sync::Arc;

use heliograph_leases::State;
use heliograph_proto::{GrpcThumbnailServer, ThumbnailService};
use heliograph_runtime::{Life, Metrics, Routes};
use heliograph_settings::Problems;
use heliograph_thumbnailer::{CannotStart, Thumbnailer};

use super::{behind, parts::Parts};
use crate::{cli::Role, render_worker::render_workers, settings::Settings};

/// Starts it alone; returns when it listens.
pub(super) async fn start(settings: Settings, life: Life, metrics: Metrics) -> anyhow::Result<()> {
    behind::start(settings, Role::Thumbnails, life, metrics, async |parts, _listen| {
        Ok(Routes::new(GrpcThumbnailServer::new(build_thumbnails(parts)?)))
    })
    .await
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
        shutdown: parts.life.shutdown.clone(),
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
