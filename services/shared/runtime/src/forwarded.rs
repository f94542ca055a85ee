//! Who a request comes from, through reverse proxies.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::dev::RequestHead;

/// The address of the client: that of the connection, or, if that is one of our proxies,
/// what the nearest one says in `X-Forwarded-For`. Anybody can write the rest of that header.
pub fn client_address(request: &RequestHead, is_proxy: impl Fn(IpAddr) -> bool) -> IpAddr {
    let peer = request.peer_addr.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    let headers = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let said: Vec<&str> = headers.flat_map(|value| value.split(',')).collect();
    nearest_stranger(peer, &said, is_proxy)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, said: &[&str]) -> String {
        let is_proxy = |address: IpAddr| ["127.0.0.1", "10.0.0.1"].contains(&address.to_string().as_str());
        nearest_stranger(peer.parse().unwrap(), said, is_proxy).to_string()
    }

    #[test]
    fn a_proxy_of_ours_is_believed_and_nobody_else() {
        assert_eq!(client("127.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("127.0.0.1", &["1.1.1.1", " 198.51.100.7 ", "10.0.0.1"]), "198.51.100.7");
        assert_eq!(client("198.51.100.9", &["198.51.100.7"]), "198.51.100.9");
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &["198.51.100.7", "nonsense"]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }
}
