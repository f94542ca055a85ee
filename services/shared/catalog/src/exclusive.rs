//! Creating an object where the store does not decide who is first.
//!
//! A lease lets one caller at a time look and write. Whoever cannot be sure to have been alone
//! from the look to the end of the write has not won, whatever it wrote: it says `Undecided`,
//! and may try again. So there are never two winners.

use std::time::Duration;

use bytes::Bytes;
use heliograph_blobs::{BlobError, BlobStore, Key};
use heliograph_leases::{Lease, State};
use tokio::time::{Instant, sleep, timeout};

/// How long a caller owns a key that dies while it writes.
const LEASE_TTL: Duration = Duration::from_mins(1);
/// A look and a write take no longer, so that they end long before the lease does.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// How long to wait for another caller.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before asking for the lease again.
const PAUSE: Duration = Duration::from_millis(20);

/// Why nothing was created, as far as we know.
#[derive(Debug)]
pub(crate) enum NotCreated {
    /// The store said no, or failed.
    Store(BlobError),
    /// Nobody can tell who is first.
    Undecided(String),
}

/// Creates an object if there is none: of many callers that share `state`, one succeeds.
pub(crate) async fn create(blobs: &dyn BlobStore, state: &State, key: &Key, content: Bytes) -> Result<(), NotCreated> {
    let lease = acquire(state, &format!("create:{key}")).await?;
    let created = create_alone(blobs, state, &lease, key, content).await;
    if let Err(error) = state.release(&lease).await {
        tracing::debug!(key = lease.key, %error, "lease left to expire");
    }
    created
}

async fn acquire(state: &State, key: &str) -> Result<Lease, NotCreated> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match state.try_acquire(key, LEASE_TTL).await {
            Ok(Some(lease)) => return Ok(lease),
            Ok(None) if Instant::now() < deadline => sleep(PAUSE).await,
            Ok(None) => return Err(NotCreated::Undecided("another instance is writing it".to_owned())),
            Err(error) => return Err(NotCreated::Undecided(error.to_string())),
        }
    }
}

async fn create_alone(
    blobs: &dyn BlobStore,
    state: &State,
    lease: &Lease,
    key: &Key,
    content: Bytes,
) -> Result<(), NotCreated> {
    let look_and_write = async {
        match blobs.size_of(key).await {
            Ok(_) => Err(BlobError::AlreadyExists { key: key.to_string() }),
            // The condition of the store is worth something even where it is not enough.
            Err(error) if error.is_not_found() => blobs.create(key, content).await,
            Err(error) => Err(error),
        }
    };
    match timeout(WRITE_WITHIN, look_and_write).await {
        Ok(written) => written.map_err(NotCreated::Store)?,
        Err(_) => return Err(NotCreated::Undecided(format!("writing took longer than {WRITE_WITHIN:?}"))),
    }
    match state.renew(lease, LEASE_TTL).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(NotCreated::Undecided("the lease was lost while it was written".to_owned())),
        Err(error) => Err(NotCreated::Undecided(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
