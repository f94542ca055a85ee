//! Connections to places, after a look at each address.
//!
//! `Dialer::connect` is the only line that connects to a stranger, and it looks at the very
//! address that it connects to.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::sleep};

use super::{
    place::{Host, Place},
    proxy::Proxy,
};
use crate::{AddressPolicy, Lookup, LookupError, Refused};

/// How much longer the next address of a host waits for those before it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);
/// More addresses of one host are not tried.
const MOST_ADDRESSES: usize = 8;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("{0}")]
    Lookup(#[from] LookupError),
    #[error("timed out")]
    TimedOut,
    #[error("{0}")]
    Failed(#[from] io::Error),
    #[error("the proxy: {0}")]
    Proxy(String),
    #[error("TLS: {0}")]
    Tls(io::Error),
}

impl ConnectError {
    /// For the metric.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Lookup(_) => "no_name",
            Self::TimedOut => "timed_out",
            Self::Failed(_) => "failed",
            Self::Proxy(_) => "proxy_failed",
            Self::Tls(_) => "tls_failed",
        }
    }
}

/// A connection without TLS, as the HTTP library knows it.
pub(crate) type Plain = TokioIo<TcpStream>;

/// Opens connections.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) policy: Arc<AddressPolicy>,
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) proxy: Option<Proxy>,
}

impl Dialer {
    /// Connects to a place that may be connected to.
    pub(crate) async fn open(&self, place: &Place) -> Result<Plain, ConnectError> {
        if let Host::Address(address) = place.host {
            self.policy.check(address)?;
        }
        if let Some(proxy) = &self.proxy {
            return proxy.open(&*self.lookup, place).await;
        }
        let addresses = self.find_addresses(place).await?;
        Ok(TokioIo::new(self.race(addresses).await?))
    }

    /// Those that may be connected to; there is at least one.
    async fn find_addresses(&self, place: &Place) -> Result<Vec<SocketAddr>, ConnectError> {
        let name = match &place.host {
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, place.port)]),
            Host::Name(name) => name,
        };
        let mut addresses = self.lookup.find_addresses(name).await?;
        if addresses.is_empty() {
            return Err(LookupError { name: name.clone(), reason: "it has no address".to_owned() }.into());
        }
        addresses.retain(|address| self.policy.permits(address.ip()));
        if addresses.is_empty() {
            return Err(Refused(format!("{name}, which has no public address,")).into());
        }
        for address in addresses.iter_mut().filter(|address| address.port() == 0) {
            address.set_port(place.port);
        }
        Ok(alternate(addresses))
    }

    /// The first connection that comes about; a slow address does not hold up the next.
    async fn race(&self, addresses: Vec<SocketAddr>) -> Result<TcpStream, ConnectError> {
        let mut waiting = addresses.into_iter().take(MOST_ADDRESSES);
        let mut attempts = FuturesUnordered::new();
        let mut last = ConnectError::TimedOut;
        loop {
            if let Some(address) = waiting.next() {
                attempts.push(self.connect(address));
            }
            tokio::select! {
                Some(attempt) = attempts.next() => match attempt {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                },
                () = sleep(STAGGER), if waiting.len() > 0 => {}
                else => return Err(last),
            }
        }
    }

    async fn connect(&self, address: SocketAddr) -> Result<TcpStream, ConnectError> {
        self.policy.check(address.ip())?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// One of each family in turn, beginning with the first.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_six = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == is_six);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut alternating = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return alternating;
        }
        alternating.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::net::TcpListener;

    use super::*;
    use crate::names::Service;

    /// Says something else each time.
    #[derive(Debug, Default)]
    struct Fickle(std::sync::Mutex<Vec<Vec<SocketAddr>>>);

    #[async_trait]
    impl Lookup for Fickle {
        async fn find_addresses(&self, _: &str) -> Result<Vec<SocketAddr>, LookupError> {
            Ok(self.0.lock().unwrap().remove(0))
        }

        async fn find_services(&self, _: &str) -> Result<Vec<Service>, LookupError> {
            Ok(Vec::new())
        }
    }

    fn dialer(allowed: &str, answers: Vec<Vec<SocketAddr>>) -> Dialer {
        let allowed = vec![allowed.parse().unwrap()];
        let policy = Arc::new(AddressPolicy::new(allowed, Vec::new()));
        Dialer { policy, lookup: Arc::new(Fickle(answers.into())), proxy: None }
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn place(port: u16) -> Place {
        Place { host: Host::Name("a".to_owned()), port }
    }

    #[test]
    fn families_take_turns() {
        let mixed = addresses(&["[::1]:1", "[::2]:1", "1.1.1.1:1", "[::3]:1", "1.1.1.2:1"]);

        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(alternate(mixed), expected);
    }

    #[tokio::test]
    async fn what_is_forbidden_is_never_connected_to_whatever_else_the_name_has() {
        let forbidden = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = forbidden.local_addr().unwrap().port();
        let fine = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let both = addresses(&["127.0.0.2:0", "127.0.0.1:0"]);
        let dialer = dialer("127.0.0.1/32", vec![both, addresses(&["127.0.0.2:0"])]);

        let stream = dialer.open(&place(port)).await.unwrap();
        let refused = dialer.open(&place(port)).await;

        assert_eq!(stream.inner().peer_addr().unwrap(), fine.local_addr().unwrap());
        assert!(matches!(refused, Err(ConnectError::Refused(_))), "{refused:?}");
        assert!(matches!(dialer.connect(forbidden.local_addr().unwrap()).await, Err(ConnectError::Refused(_))));
        let nobody_came = tokio::time::timeout(Duration::from_millis(50), forbidden.accept()).await;
        assert!(nobody_came.is_err());
    }

    #[tokio::test]
    async fn an_address_that_fails_does_not_hide_one_that_works() {
        let fine = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = fine.local_addr().unwrap().port();
        let dialer = dialer("127.0.0.0/8", vec![addresses(&["127.0.0.9:0", "127.0.0.8:0", "127.0.0.1:0"])]);

        assert!(dialer.open(&place(port)).await.is_ok());
    }
}
