//! Calls to roles in other processes.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use heliograph_proto::{
    FederationService, GrpcFederationClient, GrpcThumbnailClient, GrpcUploadClient, Link, ThumbnailService,
    UploadService,
};
use heliograph_runtime::Life;
use tokio::net::TcpStream;
use url::Url;

use crate::settings::ClusterConfig;

/// The upload orchestrator in another process.
pub(super) fn link_uploads(cluster: &ClusterConfig, life: &Life) -> anyhow::Result<Arc<dyn UploadService>> {
    let link = open("uploads", cluster.uploads_url.as_ref(), cluster.uploads_timeout, life)?;
    // The deadline is that of a link: what may take longer has one of its own.
    let patient = connect("uploads", cluster.uploads_url.as_ref(), cluster.completion_timeout)?;
    Ok(Arc::new(GrpcUploadClient::new(link).with_patient_link(patient)))
}

/// The thumbnailer in another process.
pub(super) fn link_thumbnails(cluster: &ClusterConfig, life: &Life) -> anyhow::Result<Arc<dyn ThumbnailService>> {
    let link = open("thumbnails", cluster.thumbnails_url.as_ref(), cluster.thumbnails_timeout, life)?;
    Ok(Arc::new(GrpcThumbnailClient::new(link)))
}

/// The federation fetcher in another process.
pub(super) fn link_federation(cluster: &ClusterConfig, life: &Life) -> anyhow::Result<Arc<dyn FederationService>> {
    let link = open("federation", cluster.federation_url.as_ref(), cluster.federation_timeout, life)?;
    Ok(Arc::new(GrpcFederationClient::new(link)))
}

fn connect(role: &'static str, url: Option<&Url>, timeout: Duration) -> anyhow::Result<Link> {
    let key = format!("cluster.{role}_url");
    let url = url.ok_or_else(|| anyhow!("{key} is required"))?;
    Link::connect_lazy(url.as_str(), timeout).context(key)
}

fn open(role: &'static str, url: Option<&Url>, timeout: Duration, life: &Life) -> anyhow::Result<Link> {
    let link = connect(role, url, timeout)?;
    let Some(url) = url.cloned() else { return Ok(link) };
    let key = format!("cluster.{role}_url");
    // Without it we go on with less: what does not need that role is still answered.
    life.readiness.prefer(role, &format!("start `heliograph {role}`, or correct {key}"), move || knock(url.clone()));
    Ok(link)
}

/// Whether somebody listens at `url`.
pub(super) async fn knock(url: Url) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let connected = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    connected.map(drop).map_err(|error| format!("cannot connect to {host}:{port}: {error}"))
}
