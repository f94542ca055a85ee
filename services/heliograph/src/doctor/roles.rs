//! Roles in other processes.

use std::time::Duration;

use heliograph_proto::Link;
use heliograph_types::{Finding, Trial};
use url::Url;

use super::Patient;
use crate::settings::ClusterConfig;

/// A role on the same network answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// The roles that the settings say where to find, if any.
pub(super) fn patient(cluster: &ClusterConfig) -> Option<Patient> {
    let roles = [
        ("uploads", &cluster.uploads_url, "/heliograph.upload.v1.UploadService/Usage"),
        ("thumbnails", &cluster.thumbnails_url, "/heliograph.thumbnail.v1.ThumbnailService/Render"),
        ("federation", &cluster.federation_url, "/heliograph.federation.v1.FederationService/FindKey"),
    ];
    let trials: Vec<Trial> = roles
        .into_iter()
        .filter_map(|(role, url, method)| {
            let url = url.clone()?;
            Some(Trial::new(role, async move { knock(role, &url, method).await }))
        })
        .collect();
    (!trials.is_empty()).then(|| Patient::new("roles", "in other processes", trials))
}

async fn knock(role: &str, url: &Url, method: &'static str) -> Finding {
    match Link::knock(url.as_str(), method, PATIENCE).await {
        Ok(()) => Finding::ok(format!("answers at {url}")),
        Err(error) => Finding::fail(
            format!("{url}: {error}"),
            format!("start `heliograph {role}`, or correct cluster.{role}_url"),
        ),
    }
}
