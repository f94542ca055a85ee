//! Calls to roles in other processes.

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
#[cfg(feature = "api")]
use heliograph_proto::{FederationService, GrpcFederationClient, GrpcThumbnailClient, ThumbnailService};
use heliograph_proto::{GrpcUploadClient, Pool, UploadService};
use heliograph_runtime::Life;
use url::Url;

use crate::settings::ClusterConfig;

/// The upload orchestrators in other processes.
pub(super) fn link_uploads(cluster: &ClusterConfig, life: &Life) -> anyhow::Result<Arc<dyn UploadService>> {
    let pool = open("uploads", &cluster.uploads_url, cluster.uploads_timeout, cluster, life)?;
    Ok(Arc::new(GrpcUploadClient::new(pool).with_patience_to_complete(cluster.completion_timeout)))
}

/// The thumbnailers in other processes.
#[cfg(feature = "api")]
pub(super) fn link_thumbnails(cluster: &ClusterConfig, life: &Life) -> anyhow::Result<Arc<dyn ThumbnailService>> {
    let pool = open("thumbnails", &cluster.thumbnails_url, cluster.thumbnails_timeout, cluster, life)?;
    Ok(Arc::new(GrpcThumbnailClient::new(pool)))
}

/// The federation fetchers in other processes.
#[cfg(feature = "api")]
pub(super) fn link_federation(cluster: &ClusterConfig, life: &Life) -> anyhow::Result<Arc<dyn FederationService>> {
    let pool = open("federation", &cluster.federation_url, cluster.federation_timeout, cluster, life)?;
    Ok(Arc::new(GrpcFederationClient::new(pool)))
}

fn open(
    role: &'static str,
    urls: &[Url],
    timeout: Duration,
    cluster: &ClusterConfig,
    life: &Life,
) -> anyhow::Result<Pool> {
    let key = format!("cluster.{role}_url");
    if urls.is_empty() {
        return Err(anyhow!("{key} is required"));
    }
    let pool = Pool::new(role, urls.to_vec(), timeout);
    life.tasks.spawn(pool.clone().follow_names(cluster.resolve_every, life.idle.clone()));
    let asked = pool.clone();
    // Without it we go on with less: what does not need that role is still answered.
    life.readiness.prefer(role, &format!("start `heliograph {role}`, or correct {key}"), move || {
        let pool = asked.clone();
        async move { pool.reach().await }
    });
    Ok(pool)
}
