//! Asking the store as anybody would: without credentials, and without our client of stores.

use std::time::Duration;

use heliograph_types::Finding;
use reqwest::{Certificate, Client, RequestBuilder, Response, header::HeaderMap, redirect::Policy};
use url::Url;

use super::{Outcome, bucket::Bench, explain::of_request};
use crate::{BlobError, BlobStore, Grant, Key};

/// Shorter than a trial may take, so that it ends with words of its own.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long the URLs of trials work.
pub(super) const LIFETIME: Duration = Duration::from_mins(1);
/// What the answers to our downloads shall say.
pub(super) const TYPE: &str = "text/plain";
pub(super) const DISPOSITION: &str = "attachment; filename=\"a trial.txt\"";

/// A client that knows nothing but the authorities of the settings.
pub(super) fn stranger(bench: &Bench) -> Result<Client, Finding> {
    let mut authorities = Vec::new();
    if let Some(file) = &bench.config.ca_file {
        let unreadable = |error: String| Finding::fail(error, "correct storage.ca_file");
        let pem = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
        authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(error.to_string()))?;
    }
    let client = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(bench.config.connect_timeout)
        .timeout(PATIENCE)
        .tls_certs_merge(authorities);
    client.build().map_err(of_request)
}

/// The answer to one request.
pub(super) async fn send(request: RequestBuilder) -> Result<Response, Finding> {
    request.send().await.map_err(of_request)
}

/// A URL by which anybody may do this; a finding if the store has none.
pub(super) async fn presign(bench: &Bench, key: &Key, grant: Grant<'_>, lifetime: Duration) -> Result<Url, Finding> {
    match bench.store.presign(key, grant, lifetime).await {
        Ok(Some(url)) => Ok(url),
        Ok(None) => Err(Finding::lacking(
            bench.needs.direct_uploads,
            "there are no such URLs for this kind of store",
            "leave uploads.direct = false: all content goes through heliograph then",
        )),
        Err(BlobError::Failed { .. }) if !bench.needs.direct_uploads => Err(Finding::note(
            "URLs cannot be signed with the credentials that there are",
            "nothing, unless you want uploads.direct: then give an access key or a service account file",
        )),
        Err(error) => Err(error.into()),
    }
}

/// The grant of our downloads.
pub(super) const fn download() -> Grant<'static> {
    Grant::Get { content_type: TYPE, disposition: DISPOSITION }
}

/// A header as text, empty if it is not there.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// An answer that must be a success.
pub(super) fn succeeded(bench: &Bench, answer: &Response) -> Outcome {
    let status = answer.status();
    if status.is_success() {
        return Ok(Finding::ok(format!("answered {}", status.as_u16())));
    }
    Err(Finding::lacking(
        bench.needs.direct_uploads,
        format!("the store answers {}", status.as_u16()),
        "see that storage.public_endpoint leads to the store with the host name and the path unchanged",
    ))
}
