//! The upload orchestrator.

use std::sync::Arc;

use heliograph_proto::{GrpcUploadServer, UploadService};
use heliograph_runtime::{Life, Metrics, Routes};
use heliograph_upload_orchestrator::UploadOrchestrator;

use super::{behind, parts::Parts};
use crate::{cli::Role, settings::Settings};

/// Starts it alone; returns when it listens.
pub(super) async fn start(settings: Settings, life: Life, metrics: Metrics) -> anyhow::Result<()> {
    behind::start(settings, Role::Uploads, life, metrics, async |parts, _listen| {
        Ok(Routes::new(GrpcUploadServer::new(build_uploads(parts))))
    })
    .await
}

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
