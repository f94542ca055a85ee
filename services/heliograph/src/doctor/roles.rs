//! Roles in other processes.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use heliograph_proto::{Link, SystemNames, find_instances};
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
        .filter(|(_, urls, _)| !urls.is_empty())
        .map(|(role, urls, method)| {
            let urls = urls.clone();
            Trial::new(role, async move { knock(role, &urls, method).await })
        })
        .collect();
    (!trials.is_empty()).then(|| Patient::new("roles", "in other processes", trials))
}

/// Every instance, since a call may go to any of them.
async fn knock(role: &str, urls: &[Url], method: &'static str) -> Finding {
    let advice = format!("start `heliograph {role}`, or correct cluster.{role}_url");
    let written = urls.iter().map(Url::as_str).collect::<Vec<_>>().join(", ");
    let instances = match find_instances(urls, &SystemNames).await {
        Ok(instances) => instances,
        Err(error) => return Finding::fail(format!("{written}: {error}"), advice),
    };
    let answers = join_all(instances.iter().map(|address| knock_at(*address, method))).await;
    let silent: Vec<String> = answers.into_iter().flatten().collect();
    let count = instances.len();
    match (silent.is_empty(), count) {
        (true, 1) => Finding::ok(format!("answers at {written}")),
        (true, _) => Finding::ok(format!("{count} instances answer at {written}")),
        (false, 1) => Finding::fail(format!("{written}: {}", silent.join("; ")), advice),
        (false, _) => {
            let told =
                format!("{} of {count} instances at {written} do not answer: {}", silent.len(), silent.join("; "));
            Finding::lacking(silent.len() == count, told, advice)
        }
    }
}

/// What is wrong there, if anything.
async fn knock_at(address: SocketAddr, method: &'static str) -> Option<String> {
    let answer = Link::knock(&format!("http://{address}"), method, PATIENCE).await;
    answer.err().map(|error| format!("{address}: {error}"))
}
