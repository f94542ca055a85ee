//! Asking the core, and putting content into the bucket.
//!
//! Requests run on the runtime of the process: a connection outlives the thread of the client
//! that it was opened for.

use std::{io, path::Path, time::Duration};

use bytes::Bytes;
use heliograph_matrix::{ClientError, Reason, build_core_client, read_body, send_traced};
use heliograph_types::StoreName;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header::HeaderMap};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;
use url::Url;

use crate::{EdgeConfig, body::Feedable, error::EdgeError, metrics};

/// Answers that are not content are small.
const MOST_ANSWER_BYTES: usize = 1 << 20;

/// Whether the core can be spoken to with these authorities.
pub fn check_authorities(ca_file: &Path) -> Result<(), ClientError> {
    build_core_client(Some(ca_file), Duration::ZERO).map(drop)
}

/// The way to the core.
pub(crate) struct Upstream {
    client: reqwest::Client,
    base: Url,
    runtime: Handle,
    answer_timeout: Duration,
    store: Option<StoreName>,
}

/// A whole small answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON; nothing if it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether the core does not know the endpoint, or does not offer what is behind it now.
    pub(crate) fn is_unrecognized(&self) -> bool {
        self.json()["errcode"] == "M_UNRECOGNIZED"
    }
}

impl Upstream {
    pub(crate) fn new(config: &EdgeConfig, runtime: Handle) -> io::Result<Self> {
        // Settings without it are refused before.
        let base = config.upstream.clone().ok_or_else(|| io::Error::other("edge.upstream is required"))?;
        Ok(Self {
            client: build_core_client(config.ca_file.as_deref(), config.connect_timeout).map_err(io::Error::other)?,
            base,
            runtime,
            answer_timeout: config.answer_timeout,
            store: config.store.clone(),
        })
    }

    /// The same target at the core. An error if the path would not arrive as it was sent: who
    /// writes `..` could get where nobody else gets.
    pub(crate) fn url(&self, path_and_query: &str) -> Result<Url, EdgeError> {
        let (path, query) = path_and_query.split_once('?').map_or((path_and_query, None), |(a, b)| (a, Some(b)));
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query(query);
        if url.path() == path { Ok(url) } else { Err(EdgeError::Unrecognized) }
    }

    /// The same with the name of our store in it, unless the client names one.
    pub(crate) fn url_with_store(&self, path_and_query: &str) -> Result<Url, EdgeError> {
        const NAME: &str = "org.heliograph.store";
        let mut url = self.url(path_and_query)?;
        if let Some(store) = &self.store
            && !url.query_pairs().any(|(name, _)| name == NAME)
        {
            url.query_pairs_mut().append_pair(NAME, store.as_str());
        }
        Ok(url)
    }

    /// A request with these headers.
    pub(crate) fn request(&self, method: Method, url: Url, headers: HeaderMap) -> RequestBuilder {
        self.client.request(method, url).headers(headers)
    }

    /// Begins a request; it ends when this is dropped.
    pub(crate) fn begin(&self, request: RequestBuilder) -> Sending {
        Sending(AbortOnDropHandle::new(self.runtime.spawn(send_traced(request).in_current_span())))
    }

    /// Sends a request without a body and waits for the head of its answer.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, EdgeError> {
        self.await_answer(&mut self.begin(request)).await
    }

    /// Waits for the head of an answer, when all of the request is sent.
    pub(crate) async fn await_answer(&self, sending: &mut Sending) -> Result<Response, EdgeError> {
        let answer = tokio::time::timeout(self.answer_timeout, sending.answer()).await;
        answer.unwrap_or_else(|_| Err(unreachable("it does not answer")))
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&self, request: RequestBuilder) -> Result<Answer, EdgeError> {
        read(self.send(request).await?).await
    }

    /// Puts a body where a URL that the core has given leads to.
    pub(crate) fn put(&self, url: Url, content_type: Option<&str>, length: u64, body: Feedable) -> Sending {
        let mut request = self.client.put(url).header("content-length", length).body(body.into_body());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        self.begin(request)
    }
}

/// A request on its way.
pub(crate) struct Sending(AbortOnDropHandle<reqwest::Result<Response>>);

impl Sending {
    /// The head of the answer, however long it takes.
    pub(crate) async fn answer(&mut self) -> Result<Response, EdgeError> {
        match (&mut self.0).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(unreachable(Reason(&error))),
            Err(error) => Err(unreachable(error)),
        }
    }
}

/// Reads a whole small answer.
pub(crate) async fn read(response: Response) -> Result<Answer, EdgeError> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read_body(response, MOST_ANSWER_BYTES).await.map_err(unreachable)?;
    Ok(Answer { status, headers, body })
}

/// The other side did not do its part.
pub(crate) fn unreachable(reason: impl std::fmt::Display) -> EdgeError {
    tracing::warn!(%reason, "the core, or the bucket, is out of reach");
    metrics::unreachable();
    EdgeError::BadGateway
}

/// A value for a query.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
