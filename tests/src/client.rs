//! A Matrix client: one user's token, and the calls of the media API.

use std::{net::SocketAddr, path::Path, sync::Once, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use reqwest::{Certificate, Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Reads the whole answer to a request.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.expect("a whole body") }
    }

    /// The body as JSON; fails if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Status and Matrix error code; fails if the body is no Matrix error.
    pub fn error(&self) -> (u16, String) {
        let body = self.json();
        assert!(body["error"].is_string(), "an error without words: {body}");
        (self.status.as_u16(), body["errcode"].as_str().expect("an errcode").to_owned())
    }

    /// As much of the body as people look at.
    fn beginning(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }

    /// Fails unless it is this Matrix error.
    #[track_caller]
    pub fn refused(&self, status: u16, errcode: &str) {
        let is_so = self.status == status && self.json()["errcode"] == errcode;
        assert!(is_so, "not {status} {errcode}: {} {}", self.status, self.beginning());
        assert!(self.json()["error"].is_string(), "an error without words: {self:?}");
    }

    /// The text of a header; empty without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of a request that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Bytes {
        assert!(self.status == 200, "{} {}", self.status, self.beginning());
        self.body
    }
}

/// A user at a server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    /// Talks to a node directly.
    pub fn plain(address: SocketAddr, token: &str) -> Self {
        Self::build(format!("http://{address}"), Some(token), None, usize::MAX)
    }

    /// The same with a connection of its own for each request, as a reverse proxy does it that keeps none.
    pub fn unpooled(address: SocketAddr, token: &str) -> Self {
        Self::build(format!("http://{address}"), Some(token), None, 0)
    }

    /// Talks to a server name over TLS that this authority vouches for.
    pub fn secure(server_name: &str, authority: &Path, token: Option<&str>) -> Self {
        let file = std::fs::read(authority).unwrap();
        Self::build(format!("https://{server_name}"), token, Some(Certificate::from_pem(&file).unwrap()), usize::MAX)
    }

    fn build(base: String, token: Option<&str>, authority: Option<Certificate>, most_idle: usize) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let builder =
            reqwest::Client::builder().no_proxy().pool_max_idle_per_host(most_idle).timeout(Duration::from_mins(1));
        // Where others are sent is for the test to see.
        let builder = builder.redirect(reqwest::redirect::Policy::none());
        // Only the authority of the test: the machine's own are none of its business.
        let http = builder.tls_certs_only(authority).build().unwrap();
        Self { http, base, token: token.map(str::to_owned) }
    }

    /// The same place with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same place without a token.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// A request to a path, with the token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// What a process counts under this name, with this in its labels.
    pub async fn count(&self, name: &str, label: &str) -> u64 {
        let text = String::from_utf8(self.get("/metrics").await.ok().to_vec()).unwrap();
        let is_of = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
        };
        let values = text.lines().filter(is_of).filter_map(|line| line.rsplit(' ').next());
        values.map(|value| value.parse::<u64>().unwrap()).sum()
    }

    /// `GET` with headers.
    pub async fn get_with<const N: usize>(&self, path: &str, headers: [(&str, &str); N]) -> Answer {
        let request = self.request(Method::GET, path);
        Answer::of(headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))).await
    }

    /// A request without a body.
    pub async fn ask(&self, method: Method, path: &str) -> Answer {
        Answer::of(self.request(method, path)).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    /// Uploads; the answer as it comes.
    pub async fn try_upload(&self, body: impl Into<reqwest::Body>, kind: &str) -> Answer {
        Answer::of(self.request(Method::POST, "/_matrix/media/v3/upload").header("content-type", kind).body(body)).await
    }

    /// Uploads and gives `server/media_id`.
    pub async fn upload(&self, body: impl Into<reqwest::Body>, kind: &str) -> String {
        mxc(&self.try_upload(body, kind).await.ok())
    }

    /// Uploads with a file name, as it stands in a query, and gives `server/media_id`.
    pub async fn upload_named(&self, body: impl Into<reqwest::Body>, kind: &str, name: &str) -> String {
        let request = self.request(Method::POST, &format!("/_matrix/media/v3/upload?filename={name}"));
        mxc(&Answer::of(request.header("content-type", kind).body(body)).await.ok())
    }

    /// Uploads `piece` again and again as one file of unknown length, which never exists as a
    /// whole on this side.
    pub async fn upload_repeated(&self, piece: Bytes, times: usize) -> String {
        let pieces = stream::iter((0..times).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
        self.upload(reqwest::Body::wrap_stream(pieces), "video/mp4").await
    }

    /// Downloads and tells how long the file is, without keeping it.
    pub async fn download_length(&self, id: &str) -> usize {
        let request = self.request(Method::GET, &format!("/_matrix/client/v1/media/download/{id}"));
        let mut answer = request.send().await.expect("an answer");
        let mut length = 0;
        while let Some(chunk) = answer.chunk().await.expect("a whole body") {
            length += chunk.len();
        }
        length
    }

    /// Reserves an id and gives `server/media_id`.
    pub async fn create(&self) -> String {
        mxc(&self.try_create().await.ok())
    }

    /// Reserves an id; the answer as it comes.
    pub async fn try_create(&self) -> Answer {
        Answer::of(self.request(Method::POST, "/_matrix/media/v1/create")).await
    }

    /// Fills a reserved id.
    pub async fn put(&self, id: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::of(self.request(Method::PUT, &format!("/_matrix/media/v3/upload/{id}")).body(body)).await
    }

    /// Downloads by the authenticated path.
    pub async fn download(&self, id: &str) -> Answer {
        self.get(&format!("/_matrix/client/v1/media/download/{id}")).await
    }

    /// A thumbnail by the authenticated path, with this query.
    pub async fn thumbnail(&self, id: &str, query: &str) -> Answer {
        self.get(&format!("/_matrix/client/v1/media/thumbnail/{id}?{query}")).await
    }
}

fn mxc(answer: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    let uri = answer["content_uri"].as_str().unwrap_or_else(|| panic!("no content_uri: {answer}"));
    uri.strip_prefix("mxc://").unwrap().to_owned()
}
