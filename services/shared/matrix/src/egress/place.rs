//! Where a name leads: the steps of server name resolution after well-known.
//! <https://spec.matrix.org/latest/server-server-api/#resolving-server-names>

use std::net::IpAddr;

use http::Uri;
use tokio::join;
use url::Host as UrlHost;

use crate::{
    Lookup, LookupError,
    names::{Service, in_order},
};

/// Where federation is spoken unless something else is said.
pub(crate) const DEFAULT_PORT: u16 = 8448;

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    /// In lower case, without the last dot.
    Name(String),
}

impl Host {
    /// `None` if the text is that of no host, or an address in a spelling that others may take
    /// for a name.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match UrlHost::parse(text).ok()? {
            UrlHost::Ipv4(address) => (address.to_string() == text).then_some(Self::Address(address.into())),
            UrlHost::Ipv6(address) => Some(Self::Address(address.into())),
            UrlHost::Domain(name) => Some(Self::Name(name.trim_end_matches('.').to_owned())),
        }
    }
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// Where federation is spoken with the server that is called `host` and `port`, best first;
/// there is at least one.
pub(crate) async fn find_places(lookup: &dyn Lookup, host: Host, port: Option<u16>) -> Result<Vec<Place>, LookupError> {
    let (Host::Name(name), None) = (&host, port) else {
        return Ok(vec![Place { host, port: port.unwrap_or(DEFAULT_PORT) }]);
    };
    let places = read_places(find_services(lookup, name).await?);
    Ok(if places.is_empty() { vec![Place { host, port: DEFAULT_PORT }] } else { places })
}

/// In the order in which to try. The older name counts only if the newer has none.
async fn find_services(lookup: &dyn Lookup, name: &str) -> Result<Vec<Service>, LookupError> {
    let (newer, older) = (format!("_matrix-fed._tcp.{name}"), format!("_matrix._tcp.{name}"));
    let (newer, older) = join!(lookup.find_services(&newer), lookup.find_services(&older));
    let draw = |most| rand::random_range(0..=most);
    let newer = in_order(newer?, draw);
    if newer.is_empty() { Ok(in_order(older?, draw)) } else { Ok(newer) }
}

fn read_places(services: Vec<Service>) -> Vec<Place> {
    let places = services.into_iter().filter_map(|Service { target, port, .. }| {
        // An address is no target, and none is connected to as if it were a name.
        let host = Host::read(&target).filter(|host| matches!(host, Host::Name(_)))?;
        Some(Place { host, port })
    });
    places.collect()
}

/// The host and port of an authority; `None` if it has no host to connect to.
pub(crate) fn read_authority(uri: &Uri) -> Option<(Host, Option<u16>)> {
    Some((Host::read(uri.host()?)?, uri.port_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling_here() {
        let address = |text: &str| Some(Host::Address(text.parse().unwrap()));

        assert_eq!(Host::read("127.0.0.1"), address("127.0.0.1"));
        assert_eq!(Host::read("[::1]"), address("::1"));
        assert_eq!(Host::read("[0:0::ffff:7f00:1]"), address("::ffff:127.0.0.1"));
        for text in ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "1.2.3.4.5", "", "a b", "[::1"] {
            assert_eq!(Host::read(text), None, "{text}");
        }
        assert_eq!(Host::read("A.Example."), Some(Host::Name("a.example".to_owned())));
    }
}
