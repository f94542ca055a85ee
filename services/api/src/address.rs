//! Where a request comes from, for limits.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::HttpRequest;
use heliograph_runtime::client_address;

use crate::server::Front;

/// The address of the client. Of IPv6 only the network counts: a client has all of it.
pub(crate) fn of(front: &Front, request: &HttpRequest) -> IpAddr {
    network(client_address(request.head(), |address| front.is_proxy(address)))
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let network = |address: &str| network(address.parse().unwrap()).to_string();

        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("198.51.100.7"), "198.51.100.7");
    }
}
