//! The way out to strangers: one pool of connections, guarded where they are opened.
//!
//! Owns: which addresses are connected to, TLS, HTTP/1.1 and HTTP/2, the limits of heads.
//! Follows no redirect, decodes no body, keeps no cookie, and knows no proxy but the one that
//! is set.

mod connector;
mod dial;
mod place;
mod proxy;
mod request;
mod whole;

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use heliograph_types::Secret;
use http::{Method, Uri};
use http_body_util::Full;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tokio_rustls::TlsConnector;
use url::Url;

pub(crate) use self::place::{DEFAULT_PORT, Host};
pub use self::request::{Coding, Request, SendError};
use self::{
    connector::{Connector, Leads},
    dial::Dialer,
    place::Place,
    proxy::Proxy,
};
use crate::{
    AddressPolicy, ClientError, Destination, FederationConfig, Lookup, PreviewsConfig, Refused, client::tls_config,
    metrics,
};

/// Of more headers no honest server has need.
const MOST_HEADERS: usize = 100;
/// All of them together.
const MOST_HEAD_BYTES: usize = 64 << 10;
/// Unused connections are kept for the next request to the same server.
const KEEP_IDLE: Duration = Duration::from_mins(1);
const MOST_IDLE_PER_SERVER: usize = 8;
/// What of a body may be under way or wait in memory until it is read: enough for 20 MB/s over
/// 100 ms. All bodies of a connection share the second.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// A connection of HTTP/2 on which requests wait is asked whether it is alive.
const PING_EVERY: Duration = Duration::from_secs(15);

type Pool = Client<Connector, Full<Bytes>>;

/// Which way out.
#[derive(Debug, Clone)]
pub struct Way {
    /// Which addresses may be connected to.
    pub policy: AddressPolicy,
    /// Certificate authorities to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// The proxy that everything goes through.
    pub proxy: Option<Secret<String>>,
    /// How long finding a name, connecting and TLS may take together.
    pub connect_timeout: Duration,
    /// Whether URLs may be `http`.
    pub allows_plain: bool,
}

impl From<&FederationConfig> for Way {
    fn from(config: &FederationConfig) -> Self {
        Self {
            policy: AddressPolicy::new(config.allow_addresses.clone(), config.deny_addresses.clone()),
            ca_file: config.ca_file.clone(),
            proxy: config.proxy.clone(),
            connect_timeout: config.connect_timeout,
            allows_plain: false,
        }
    }
}

impl Way {
    /// That of federation, but for the addresses of previews; pages need no TLS.
    pub fn for_previews(federation: &FederationConfig, previews: &PreviewsConfig) -> Self {
        let policy = AddressPolicy::new(previews.allow_addresses.clone(), previews.deny_addresses.clone());
        Self { policy, allows_plain: true, ..Self::from(federation) }
    }
}

/// The client for strangers: no address that is not public, at every request anew, so
/// redirects are to be followed by asking again. Callers bound how long they wait for an
/// answer: some answers are slow by intent.
#[derive(Clone)]
pub struct GuardedClient {
    /// For URLs: a name leads to itself.
    web: Pool,
    /// For servers: a name leads to where federation is spoken.
    federation: Pool,
    connector: Connector,
    allows_plain: bool,
}

impl std::fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedClient").field("dialer", &self.connector.dialer).finish_non_exhaustive()
    }
}

impl GuardedClient {
    /// The client with the limits of `config`; names are found by `lookup`.
    pub fn new(config: &FederationConfig, lookup: Arc<dyn Lookup>) -> Result<Self, ClientError> {
        Self::on(config.into(), lookup)
    }

    /// The client for this way; names are found by `lookup`.
    pub fn on(way: Way, lookup: Arc<dyn Lookup>) -> Result<Self, ClientError> {
        let mut tls = tls_config(way.ca_file.as_deref())?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let proxy = way.proxy.as_ref().map(Proxy::read).transpose()?;
        let connector = Connector {
            dialer: Arc::new(Dialer { policy: Arc::new(way.policy), lookup, proxy }),
            tls: TlsConnector::from(Arc::new(tls)),
            leads: Leads::There,
            timeout: way.connect_timeout,
        };
        let to_federation = Connector { leads: Leads::ToFederation, ..connector.clone() };
        Ok(Self {
            web: build_pool(connector.clone()),
            federation: build_pool(to_federation),
            connector,
            allows_plain: way.allows_plain,
        })
    }

    /// A GET request. Its answer may be a redirect: nothing is followed.
    pub fn get(&self, mut url: Url) -> Result<Request, Refused> {
        self.check(&url).inspect_err(|_| metrics::connected("refused"))?;
        // Nothing that a stranger writes into a URL is to prove who we are.
        let _ = (url.set_username(""), url.set_password(None));
        let uri = url.as_str().parse().map_err(|_| Refused(url.to_string()))?;
        Ok(Request::new(&self.web, Method::GET, uri, Bytes::new()))
    }

    /// A GET request to a server. `target` is path and query, taken as they are.
    pub fn get_from(&self, destination: &Destination, target: &str) -> Result<Request, Refused> {
        let uri = self.uri_at(destination, target)?;
        Ok(Request::new(&self.federation, Method::GET, uri, Bytes::new()))
    }

    /// A POST request of JSON to a server.
    pub fn post_to(&self, destination: &Destination, target: &str, json: Bytes) -> Result<Request, Refused> {
        let uri = self.uri_at(destination, target)?;
        Ok(Request::new(&self.federation, Method::POST, uri, json))
    }

    /// Refuses what `get` refuses.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        match url.scheme() {
            "https" => {}
            "http" if self.allows_plain => {}
            scheme => return Err(Refused(format!("{scheme}: only https is spoken, and that"))),
        }
        self.connector.dialer.policy.check_literal(url)
    }

    /// The URL to which others can be sent for a server, as well as one can tell.
    pub(crate) async fn locate(&self, destination: &Destination) -> Result<Url, String> {
        let (host, port) = (destination.host(), destination.name().port());
        let places = self.connector.find_places(host.clone(), port).await.map_err(|error| error.to_string())?;
        let Place { host, port } = places.into_iter().next().unwrap_or(Place { host, port: DEFAULT_PORT });
        let host = match host {
            Host::Address(address) if address.is_ipv6() => format!("[{address}]"),
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name,
        };
        format!("https://{host}:{port}/").parse().map_err(|error: url::ParseError| error.to_string())
    }

    fn uri_at(&self, destination: &Destination, target: &str) -> Result<Uri, Refused> {
        if let Host::Address(address) = destination.host() {
            self.connector.dialer.policy.check(address).inspect_err(|_| metrics::connected("refused"))?;
        }
        let uri = format!("https://{}{target}", destination.name());
        uri.parse().map_err(|_| Refused(uri))
    }
}

/// Refuses the URL of a proxy that is none. The error shows nothing of it.
pub fn check_proxy(url: &Secret<String>) -> Result<(), ClientError> {
    Proxy::read(url).map(drop)
}

fn build_pool(connector: Connector) -> Pool {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP_IDLE)
        .pool_max_idle_per_host(MOST_IDLE_PER_SERVER)
        .http1_max_headers(MOST_HEADERS)
        .http1_max_buf_size(MOST_HEAD_BYTES)
        .http2_max_header_list_size(u32::try_from(MOST_HEAD_BYTES).unwrap_or(u32::MAX))
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_EVERY)
        .build(connector)
}
