//! Where a request comes from, for limits.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::HttpRequest;

use crate::server::Front;

/// The address of the client: that of the connection, or, if that is one of our proxies,
/// what the nearest one says in `X-Forwarded-For`. Anybody can write the rest of that header.
/// Of IPv6 only the network counts: a client has all of it.
pub(crate) fn of(front: &Front, request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    let headers = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let said: Vec<&str> = headers.flat_map(|value| value.split(',')).collect();
    network(nearest_stranger(peer, &said, |address| front.is_proxy(address)))
}

fn nearest_stranger(peer: IpAddr, said: &[&str], is_proxy: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut nearest = peer;
    for hop in said.iter().rev() {
        if !is_proxy(nearest) {
            break;
        }
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        nearest = address.to_canonical();
    }
    nearest
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

    fn client(peer: &str, said: &[&str]) -> String {
        let is_proxy = |address: IpAddr| ["127.0.0.1", "10.0.0.1"].contains(&address.to_string().as_str());
        network(nearest_stranger(peer.parse().unwrap(), said, is_proxy)).to_string()
    }

    #[test]
    fn a_proxy_of_ours_is_believed_and_nobody_else() {
        assert_eq!(client("127.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("127.0.0.1", &["1.1.1.1", " 198.51.100.7 ", "10.0.0.1"]), "198.51.100.7");
        assert_eq!(client("198.51.100.9", &["198.51.100.7"]), "198.51.100.9");
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &["198.51.100.7", "nonsense"]), "127.0.0.1");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        assert_eq!(client("2001:db8:1:2:3:4:5:6", &[]), "2001:db8:1:2::");
        assert_eq!(client("127.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }
}
