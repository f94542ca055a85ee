//! Names: which addresses a host has, and which hosts offer a service (SRV).

mod order;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
    time::Duration,
};

use async_trait::async_trait;
use hickory_resolver::{
    ResolverBuilder, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData},
};

pub(crate) use order::in_order;

/// Answers remembered, most of them 200 bytes; a hostile one may have 64 KiB.
const REMEMBERED: u64 = 2_048;
/// Longer is no answer believed, whatever it says itself.
const LONGEST_TTL: Duration = Duration::from_hours(24);
const LONGEST_TTL_OF_NOTHING: Duration = Duration::from_hours(1);
/// How long a nameserver of the settings may take to answer. It is asked twice.
const PATIENCE: Duration = Duration::from_secs(2);

/// A name about which there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} cannot be looked up: {reason}")]
pub struct LookupError {
    /// The name.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl LookupError {
    fn new(name: &str, reason: impl fmt::Display) -> Self {
        Self { name: name.to_owned(), reason: reason.to_string() }
    }
}

/// A host that offers a service: an SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Lower ones are tried first.
    pub priority: u16,
    /// How often it is the first of its priority, compared to the others.
    pub weight: u16,
    /// The host; empty if the service is not offered.
    pub target: String,
    /// Its port.
    pub port: u16,
}

/// Knows names.
#[async_trait]
pub trait Lookup: fmt::Debug + Send + Sync + 'static {
    /// The addresses of a host; port 0 stands for the port that is wanted.
    async fn find_addresses(&self, host: &str) -> Result<Vec<SocketAddr>, LookupError>;

    /// The SRV records of a name, in no order. None if it has none; that nobody could tell is
    /// an error.
    async fn find_services(&self, name: &str) -> Result<Vec<Service>, LookupError>;
}

/// Asks nameservers, and for addresses the system unless nameservers are set.
#[derive(Clone)]
pub struct Resolver {
    asks_system: bool,
    dns: Option<TokioResolver>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("asks_system", &self.asks_system).finish_non_exhaustive()
    }
}

impl Resolver {
    /// Asks `nameservers` and nobody else; if there are none, as the system is set up.
    pub fn new(nameservers: &[SocketAddr]) -> Self {
        if nameservers.is_empty() {
            return Self { asks_system: true, dns: system_dns() };
        }
        let servers = nameservers.iter().copied().map(name_server).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        (options.timeout, options.attempts, options.edns0) = (PATIENCE, 1, true);
        Self { asks_system: false, dns: build(builder) }
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// The nameservers of the system. A machine may have none, which is said once.
fn system_dns() -> Option<TokioResolver> {
    static SAID: OnceLock<()> = OnceLock::new();
    let builder = TokioResolver::builder_tokio().inspect_err(|error| {
        SAID.get_or_init(|| {
            tracing::warn!(%error, "the system names no nameservers: other servers are found without SRV records");
        });
    });
    build(builder.ok()?)
}

fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Option<TokioResolver> {
    limit(builder.options_mut());
    let built = builder.build();
    built.inspect_err(|error| tracing::error!(%error, "nameservers cannot be asked")).ok()
}

fn limit(options: &mut ResolverOpts) {
    options.cache_size = REMEMBERED;
    options.positive_max_ttl = Some(LONGEST_TTL);
    options.negative_max_ttl = Some(LONGEST_TTL_OF_NOTHING);
    // With nameservers of one's own nothing else counts; otherwise the system reads that file.
    options.use_hosts_file = ResolveHosts::Never;
}

#[async_trait]
impl Lookup for Resolver {
    async fn find_addresses(&self, host: &str) -> Result<Vec<SocketAddr>, LookupError> {
        if self.asks_system {
            let found = tokio::net::lookup_host((host, 0)).await;
            return Ok(found.map_err(|error| LookupError::new(host, error))?.collect());
        }
        let dns = self.dns.as_ref().ok_or_else(|| LookupError::new(host, "there is no nameserver"))?;
        let found = dns.lookup_ip(absolute(host)?).await.map_err(|error| LookupError::new(host, error))?;
        Ok(found.iter().map(|address: IpAddr| SocketAddr::new(address, 0)).collect())
    }

    async fn find_services(&self, name: &str) -> Result<Vec<Service>, LookupError> {
        let Some(dns) = &self.dns else { return Ok(Vec::new()) };
        match dns.srv_lookup(absolute(name)?).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|record| read_service(&record.data)).collect()),
            Err(error) if says_there_are_none(&error) => Ok(Vec::new()),
            Err(error) => Err(LookupError::new(name, error)),
        }
    }
}

/// No domain of the search list of the system stands behind it.
fn absolute(name: &str) -> Result<Name, LookupError> {
    let mut absolute = Name::from_ascii(name).map_err(|error| LookupError::new(name, error))?;
    absolute.set_fqdn(true);
    Ok(absolute)
}

/// NXDOMAIN, or no record of this kind; not that the nameserver failed or was silent.
fn says_there_are_none(error: &NetError) -> bool {
    error.is_no_records_found()
}

fn read_service(data: &RData) -> Option<Service> {
    let RData::SRV(record) = data else { return None };
    let target = record.target.to_ascii().trim_end_matches('.').to_owned();
    Some(Service { priority: record.priority, weight: record.weight, target, port: record.port })
}
