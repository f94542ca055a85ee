//! Whoever makes a request, as the core sees it in the questions that the edge asks on its behalf.

use actix_web::dev::RequestHead;
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    error::EdgeError,
    headers,
    server::Edge,
    upstream::{Answer, encode},
};

/// Who asks, and through whom: of the query.
const IN_QUERY: [&str; 4] = ["access_token", "user_id", "device_id", "org.matrix.msc3202.device_id"];
/// The same of the headers.
const IN_HEADERS: [&str; 4] = ["authorization", "host", "user-agent", "x-forwarded-for"];

/// See the top of the file.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    headers: HeaderMap,
    /// As it was sent, without a `?`.
    query: String,
    /// Tells this caller from others; no token can be read from it.
    pub(crate) digest: [u8; 32],
}

impl Caller {
    pub(crate) fn of(edge: &Edge, head: &RequestHead) -> Self {
        let sent = headers::of_request(edge, head);
        let mut headers = HeaderMap::new();
        for name in IN_HEADERS {
            if let Some(value) = sent.get(name) {
                headers.insert(name, value.clone());
            }
        }
        let pairs = head.uri.query().unwrap_or_default().split('&');
        let own = pairs.filter(|pair| IN_QUERY.contains(&pair.split('=').next().unwrap_or_default()));
        let query = own.collect::<Vec<_>>().join("&");
        let mut digest = Sha256::new();
        digest.update(headers.get("authorization").map_or(&b""[..], |value| value.as_bytes()));
        digest.update(b"\n");
        digest.update(&query);
        Self { headers, query, digest: digest.finalize().into() }
    }

    /// Asks the core in the name of the caller; with the name of our store.
    pub(crate) async fn ask(
        &self,
        edge: &Edge,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Answer, EdgeError> {
        edge.upstream.ask(self.request(edge, method, self.url(edge, path, parameters)?)).await
    }

    /// The target of such a question.
    pub(crate) fn url(&self, edge: &Edge, path: &str, parameters: &[(&str, &str)]) -> Result<Url, EdgeError> {
        let own = (!self.query.is_empty()).then(|| self.query.clone());
        let more = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value)));
        let query = own.into_iter().chain(more).collect::<Vec<_>>().join("&");
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        edge.upstream.url_with_store(&target)
    }

    fn request(&self, edge: &Edge, method: Method, url: Url) -> RequestBuilder {
        edge.upstream.request(method, url, self.headers.clone())
    }
}
