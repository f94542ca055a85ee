//! A point of presence: near its users, far from the core.
//!
//! Keeps copies of what was read through it, takes uploads straight into the bucket of its
//! region, and passes everything else on. Decides nothing: whoever asks for whatever, the core is
//! asked first. Has no keys, no state that others need and no way to any homeserver; its cache
//! can be lost at any time.

mod admit;
mod body;
mod cache;
mod caller;
mod config;
mod error;
mod forward;
mod fresh;
mod headers;
mod listen;
mod metrics;
mod read;
mod routes;
mod server;
mod sizes;
mod stored;
mod target;
mod tee;
mod upload;
mod upstream;

use std::{path::PathBuf, sync::Arc};

use heliograph_runtime::Health;
use heliograph_types::Clock;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use config::EdgeConfig;
pub use server::serve;
pub use upstream::check_authorities;

/// What an edge works with.
#[derive(Clone)]
pub struct Deps {
    /// Where copies are kept; nobody else writes there.
    pub cache_folder: PathBuf,
    /// `/livez`, `/readyz`, `/metrics`.
    pub health: Health,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where requests to the core run, and work whose client has left.
    pub runtime: tokio::runtime::Handle,
    /// Who waits for that work at shutdown.
    pub tasks: TaskTracker,
    /// Stops accepting, and ends the server when what is in progress is done.
    pub shutdown: CancellationToken,
}
