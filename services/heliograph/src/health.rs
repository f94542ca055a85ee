//! `heliograph health`: whether a role on this machine is ready, for those who have no shell to
//! ask it with.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, anyhow};
use heliograph_matrix::{build_core_client, read_body};

use crate::{cli::Role, settings::Settings};

const PATIENCE: Duration = Duration::from_secs(5);
const MOST_BYTES: usize = 64 << 10;

/// What the role says of itself, and how to end: with 0 if it is ready, with 1 if not.
pub(crate) fn ask(settings: &Settings, role: Role) -> anyhow::Result<(String, ExitCode)> {
    // Two libraries ask for TLS; both shall use this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("http://{}/readyz", reachable(listens(settings, role)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = build_core_client(None, PATIENCE)?;
        let response = client.get(&url).timeout(PATIENCE).send().await;
        let response = response.with_context(|| format!("{url} does not answer"))?;
        let code = if response.status().is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        let body = read_body(response, MOST_BYTES).await.map_err(|error| anyhow!("{url}: {error}"))?;
        Ok((format!("{}\n", String::from_utf8_lossy(&body).trim_end()), code))
    })
}

/// Where the role answers `/readyz`.
fn listens(settings: &Settings, role: Role) -> SocketAddr {
    match role {
        Role::Serve | Role::Api => settings.api.listen,
        Role::Edge => settings.edge.listen,
        Role::Uploads | Role::Thumbnails | Role::Federation => settings.cluster.health_listen,
    }
}

/// Who listens at every address is asked at loopback.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let address = match listens.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, listens.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_asked_where_it_can_be_reached_from_its_own_machine() {
        for (listens, expected) in
            [("0.0.0.0:8000", "127.0.0.1:8000"), ("[::]:8000", "[::1]:8000"), ("10.0.0.5:8000", "10.0.0.5:8000")]
        {
            assert_eq!(reachable(listens.parse().unwrap()), expected.parse().unwrap());
        }
    }
}
