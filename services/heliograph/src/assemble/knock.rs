//! Whether somebody is there.

use tokio::net::TcpStream;
use url::Url;

/// Whether somebody listens at `url`.
pub(super) async fn knock(url: Url) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let connected = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    connected.map(drop).map_err(|error| format!("cannot connect to {host}:{port}: {error}"))
}
