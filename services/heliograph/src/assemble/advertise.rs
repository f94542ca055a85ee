//! Where other instances reach this one, to follow its fetches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use heliograph_leases::StateConfig;
use tokio::net::{UdpSocket, lookup_host};
use url::Url;

use crate::settings::Settings;

/// The address of the settings, or else where this process listens, in the words of a machine
/// that uses the same Redis. `None` if that cannot be told.
pub(super) async fn find_url(settings: &Settings, listen: SocketAddr) -> Option<Url> {
    if let Some(url) = &settings.cluster.advertise_url {
        return Some(url.clone());
    }
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        _ => find_own_address(&settings.state).await?,
    };
    Url::parse(&format!("http://{}", SocketAddr::new(ip, listen.port()))).ok()
}

/// The address of this machine on the way to Redis: to any of the servers or sentinels that the
/// settings name. A datagram socket that is connected knows it, and sends nothing.
async fn find_own_address(state: &StateConfig) -> Option<IpAddr> {
    for (host, port) in state.redis_hosts() {
        // One that has no address now is no reason not to ask for the others.
        for redis in lookup_host((host, port)).await.into_iter().flatten() {
            if let Some(own) = find_address_towards(redis).await {
                return Some(own);
            }
        }
    }
    None
}

async fn find_address_towards(there: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if there.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(there).await.ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use heliograph_types::Secret;

    use super::*;

    #[tokio::test]
    async fn the_address_is_that_by_which_this_machine_reaches_redis() {
        for (url, expected) in [
            ("redis://127.0.0.1:6379/0", Some("127.0.0.1")),
            ("redis://:secret@localhost", Some("127.0.0.1")),
            ("redis+sentinel://no-such-host.invalid,127.0.0.1/main", Some("127.0.0.1")),
            ("rediss+cluster://127.0.0.1,127.0.0.1:7000", Some("127.0.0.1")),
            ("redis+unix:///run/redis.sock", None),
            ("no url", None),
        ] {
            let state = StateConfig { redis_url: Some(Secret::new(url.to_owned())), ..StateConfig::default() };

            let found = find_own_address(&state).await;

            let is_loopback = found.is_some_and(|ip| ip.is_loopback());
            assert_eq!((found.is_some(), is_loopback), (expected.is_some(), expected.is_some()), "{url}");
        }
    }
}
