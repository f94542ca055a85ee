//! Buckets in processes of their own: real stores, and stand-ins for clouds.

mod azurite;
mod garage;
mod google;

use std::{net::SocketAddr, path::Path};

pub use self::{azurite::Azurite, garage::Garage, google::Google};

/// What every bucket here is called.
const BUCKET: &str = "media";

/// Where our own scripts are that have to do with stores.
fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stores").join(name)
}

/// Waits until somebody listens there.
async fn listens(what: &str, address: SocketAddr) {
    crate::eventually(what, async || tokio::net::TcpStream::connect(address).await.ok()).await;
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
