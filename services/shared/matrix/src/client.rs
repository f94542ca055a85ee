//! The HTTP clients for what is the operator's own, and what they share with the way out.

use std::{error::Error, fmt, fs, io, path::Path, path::PathBuf, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{ClientBuilder, Response, redirect};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::HomeserverConfig;

/// How we call ourselves.
pub(crate) const NAME: &str = concat!("heliograph/", env!("CARGO_PKG_VERSION"));
/// Of more headers no honest server has need.
const MOST_HEADERS: usize = 100;
/// Unused connections are kept for the next request to the same server.
const KEEP_IDLE: Duration = Duration::from_mins(1);

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The file of certificate authorities cannot be read.
    #[error("cannot read the certificate authorities in {path}: {reason}", path = path.display())]
    BadAuthorities {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The URL of the proxy is none. It is not shown: there may be a password in it.
    #[error("must be a URL such as http://proxy:3128 or socks5://proxy:1080: {0}")]
    BadProxy(String),
    /// The TLS library refuses.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP library refuses.
    #[error("the HTTP client cannot be built: {0}")]
    Http(#[from] reqwest::Error),
}

/// The client for the operator's own homeserver, which may well be on a private network.
pub fn build_homeserver_client(config: &HomeserverConfig) -> Result<reqwest::Client, ClientError> {
    Ok(plain_client(config.ca_file.as_deref(), config.timeout)?.timeout(config.timeout).build()?)
}

/// The client for the operator's own other processes that speak HTTP. Nothing bounds how long
/// an answer may take: callers do. The `Host` header is the caller's, which HTTP/2 cannot say.
pub fn build_core_client(ca_file: Option<&Path>, connect_timeout: Duration) -> Result<reqwest::Client, ClientError> {
    Ok(plain_client(ca_file, connect_timeout)?.http1_only().build()?)
}

/// What both clients have in common.
fn plain_client(ca_file: Option<&Path>, connect_timeout: Duration) -> Result<ClientBuilder, ClientError> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config(ca_file)?)
        .user_agent(NAME)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(KEEP_IDLE)
        .http1_max_headers(MOST_HEADERS)
        .tcp_nodelay(true))
}

/// TLS 1.2 and newer, with the authorities of the system and those of the file.
pub(crate) fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "a certificate authority of the system was left out");
    }
    roots.add_parsable_certificates(system.certs);
    for authority in ca_file.map(read_authorities).transpose()?.unwrap_or_default() {
        roots.add(authority)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Refuses a file of certificate authorities that cannot be used.
pub fn check_authorities(path: &Path) -> Result<(), ClientError> {
    read_authorities(path).map(drop)
}

fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let bad = |reason: String| ClientError::BadAuthorities { path: path.to_owned(), reason };
    let pem = fs::read(path).map_err(|error: io::Error| bad(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| bad(error.to_string()))?;
    if found.is_empty() { Err(bad("there is no certificate in it".to_owned())) } else { Ok(found) }
}

/// Why a small body could not be read.
#[derive(Debug)]
pub enum BodyError {
    /// It is larger than it may be.
    TooLarge,
    /// It ended early.
    Broken(reqwest::Error),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Broken(error) => write!(f, "the answer broke off: {}", Reason(error)),
        }
    }
}

impl Error for BodyError {}

/// A whole small body.
pub async fn read_body(mut response: Response, most_bytes: usize) -> Result<Bytes, BodyError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + chunk.len() > most_bytes {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// An error with all of its causes on one line. Those of the HTTP library say little
/// without, and too much with their URL: queries may hold what is secret.
pub struct Reason<'a>(pub &'a reqwest::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(mut cause) = self.0.source() else {
            return f.write_str(if self.0.is_timeout() { "timed out" } else { "the request failed" });
        };
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        write!(f, "{cause}")
    }
}
