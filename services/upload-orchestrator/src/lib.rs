//! The life of an upload: reserve, admit, commit, abort, expire.
//!
//! The only writer of records. Never touches a byte of content: callers write the blob
//! that their ticket names. One actor owns each upload in progress; the create-only record
//! decides who wins, so that two owners of one id are harmless.

mod accounts;
mod actors;
mod config;
mod direct;
mod discard;
mod evict;
mod metrics;
mod moderate;
mod quota;
mod service;
mod session;
mod sharing;
mod sweep;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use heliograph_blobs::BlobStore;
use heliograph_catalog::Catalog;
use heliograph_leases::State;
use heliograph_types::Clock;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use config::{DirectInspection, UploadsConfig};
pub use evict::RemoteCopiesConfig;
pub use quota::QuotaConfig;
pub use service::UploadOrchestrator;

/// What the orchestrator works with.
#[derive(Clone)]
pub struct Deps {
    /// How much users may store.
    pub quotas: Vec<QuotaConfig>,
    /// How long copies of remote media stay.
    pub remote_copies: RemoteCopiesConfig,
    /// Where bytes and records are.
    pub blobs: Arc<dyn BlobStore>,
    /// The records.
    pub catalog: Arc<Catalog>,
    /// Leases, signals, indexes and ledgers.
    pub state: State,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where actors live; at least one.
    pub arbiters: Vec<actix_rt::ArbiterHandle>,
    /// Who waits for our tasks at shutdown.
    pub tasks: TaskTracker,
    /// Ends the sweep.
    pub shutdown: CancellationToken,
    /// True if no other process can be writing into the store: then what was in progress
    /// when we were killed can be removed at once.
    pub alone: bool,
}
