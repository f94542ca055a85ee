//! What opens a connection with TLS when the pool has none, and where to.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{DnsName, ServerName as TlsName};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tower::Service;
use tracing::{Instrument, debug_span, field::Empty};

use super::{
    dial::{ConnectError, Dialer, Plain},
    place::{Host, Place, find_places, read_authority},
};
use crate::{LookupError, Refused, metrics};

/// With a proxy, how long nameservers may take to tell of services.
const PATIENCE_WITH_PROXY: Duration = Duration::from_secs(3);

/// Where a name of a URL leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To the host and port that it names.
    There,
    /// To where Matrix servers are looked for.
    ToFederation,
}

/// A connection, with TLS unless the URL is one without.
pub(crate) type Connection = MaybeHttpsStream<Plain>;

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) tls: TlsConnector,
    pub(crate) leads: Leads,
    /// For everything: the name, the connection, and TLS.
    pub(crate) timeout: Duration,
}

impl Connector {
    /// Where federation is spoken with a server; there is at least one place.
    pub(crate) async fn find_places(&self, host: Host, port: Option<u16>) -> Result<Vec<Place>, LookupError> {
        let usual = Place { host: host.clone(), port: super::place::DEFAULT_PORT };
        let places = find_places(&*self.dialer.lookup, host, port);
        if self.dialer.proxy.is_none() {
            return places.await;
        }
        // Who goes out through a proxy alone may well have no nameserver that knows the world.
        let places = timeout(PATIENCE_WITH_PROXY, places).await;
        Ok(places.ok().and_then(Result::ok).unwrap_or_else(|| vec![usual]))
    }

    async fn connect(&self, uri: &Uri) -> Result<Connection, ConnectError> {
        let deadline = Instant::now() + self.timeout;
        let (host, port) = read_authority(uri).ok_or_else(|| Refused(uri.to_string()))?;
        let is_plain = uri.scheme() == Some(&Scheme::HTTP);
        let name = if is_plain { None } else { Some(tls_name(&host)?) };
        let places = match self.leads {
            Leads::There => vec![Place { host, port: port.unwrap_or(if is_plain { 80 } else { 443 }) }],
            Leads::ToFederation => {
                let found = timeout(self.timeout, self.find_places(host, port)).await;
                found.map_err(|_| ConnectError::TimedOut)??
            }
        };
        let mut last = ConnectError::TimedOut;
        for (place, left) in places.iter().zip((1..=places.len()).rev()) {
            // Nobody who is silent takes the time of those after.
            let patience = deadline.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(u32::MAX);
            match timeout(patience, self.open(place, name.as_ref())).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => last = error,
                Err(_) => last = ConnectError::TimedOut,
            }
        }
        Err(last)
    }

    async fn open(&self, place: &Place, name: Option<&TlsName<'static>>) -> Result<Connection, ConnectError> {
        let plain = self.dialer.open(place).await?;
        let Some(name) = name else { return Ok(plain.into()) };
        let secured = self.tls.connect(name.clone(), TokioIo::new(plain)).await;
        Ok(secured.map_err(ConnectError::Tls)?.into())
    }
}

/// The name in the certificate: never one that DNS told.
fn tls_name(host: &Host) -> Result<TlsName<'static>, Refused> {
    match host {
        Host::Address(address) => Ok(TlsName::from(*address)),
        Host::Name(name) => {
            DnsName::try_from(name.clone()).map(TlsName::DnsName).map_err(|_| Refused(format!("{name}, no host,")))
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        let span = debug_span!("connect", server.address = uri.host(), otel.status_code = Empty);
        Box::pin(async move {
            let begun = Instant::now();
            let connected = this.connect(&uri).instrument(span.clone()).await;
            metrics::connecting_took(begun.elapsed());
            if connected.is_err() {
                span.record("otel.status_code", "ERROR");
            }
            metrics::connected(connected.as_ref().map_or_else(ConnectError::label, |_| "opened"));
            connected
        })
    }
}
