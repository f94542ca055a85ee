//! Removes one copy of remote media, so that a death at any step loses nothing and leaves nothing.
//!
//! First the note that its bytes are to go, then it is taken out of the ledger, then its record
//! goes: from there on it is fetched again by whoever wants it. Thumbnails and bytes come last.
//! What a death leaves, the note tells the sweep, which removes the bytes, or, if there still is a
//! record, enters the copy again.

use std::time::Duration;

use heliograph_catalog::{CatalogError, RemoteCopy};
use heliograph_leases::Lease;
use heliograph_types::{Failure, Mxc};

use super::{Reason, unknown};
use crate::{actors::registry::Shared, metrics, moderate, sharing};

/// The removal of many thumbnails takes a little.
const LEASE_TTL: Duration = Duration::from_secs(30);

/// What became of a copy that was to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is gone.
    Removed,
    /// It was read since, has a moderator's protection, or is none: others are older now.
    Left,
    /// It cannot be removed now.
    Stays,
}

/// Removes a copy unless it was read since it was looked at. Tells of it.
pub(super) async fn remove(shared: &Shared, copy: RemoteCopy, reason: Reason) -> Fate {
    let fate = match try_remove(shared, &copy).await {
        Ok(fate) => fate,
        Err(failure) => {
            tracing::warn!(?copy, %failure, "a copy of a remote medium stays for now");
            Fate::Stays
        }
    };
    if fate == Fate::Removed {
        tracing::debug!(?copy, ?reason, "removed a copy of a remote medium");
        metrics::evicted(reason, copy.size_bytes);
    }
    fate
}

async fn try_remove(shared: &Shared, copy: &RemoteCopy) -> Result<Fate, Failure> {
    let Some(mxc) = &copy.mxc else { return leave(shared, copy).await };
    // Whoever moderates it now, or removes it, has it.
    let lease = shared.state.try_acquire(&moderate::lease_key(mxc), LEASE_TTL).await.map_err(unknown)?;
    let Some(lease) = lease else { return Ok(Fate::Stays) };
    let fate = remove_owned(shared, copy, mxc, &lease).await;
    if let Err(error) = shared.state.release(&lease).await {
        tracing::debug!(key = lease.key, %error, "lease left to expire");
    }
    fate
}

async fn remove_owned(shared: &Shared, copy: &RemoteCopy, mxc: &Mxc, lease: &Lease) -> Result<Fate, Failure> {
    let record = match shared.catalog.find_now(mxc).await {
        Err(error @ CatalogError::Damaged { .. }) => {
            tracing::error!(%mxc, %error, "a copy of a remote medium stays for good");
            None
        }
        record => record?,
    };
    let Some(record) = record.filter(|record| RemoteCopy::of(record).is_some()) else {
        return leave(shared, copy).await;
    };
    let blob = record.blob_key()?;
    sharing::note_removal(shared, mxc, &blob).await?;
    if !shared.accounts.copies().take_out(copy).await.map_err(unknown)? {
        // Most likely it was read; if an answer was lost, it must not be forgotten.
        return put_back(shared, copy).await.map(|()| Fate::Left);
    }
    match remove_record(shared, mxc, lease).await {
        Ok(true) => {}
        outcome => {
            put_back(shared, copy).await?;
            return outcome.map(|_| Fate::Stays);
        }
    }
    if let Err(error) = moderate::finish_removal(shared, mxc, &blob).await {
        tracing::warn!(%mxc, %error, "the bytes of a copy stay until the sweep");
    }
    Ok(Fate::Removed)
}

/// Only while nobody else can have changed the record; false if that is not sure.
async fn remove_record(shared: &Shared, mxc: &Mxc, lease: &Lease) -> Result<bool, Failure> {
    if !shared.state.renew(lease, LEASE_TTL).await.map_err(unknown)? {
        return Ok(false);
    }
    shared.catalog.remove_copy(mxc).await?;
    Ok(true)
}

/// Leaves it, and does not look at it again until it is entered anew.
async fn leave(shared: &Shared, copy: &RemoteCopy) -> Result<Fate, Failure> {
    shared.accounts.copies().take_out(copy).await.map_err(unknown)?;
    Ok(Fate::Left)
}

async fn put_back(shared: &Shared, copy: &RemoteCopy) -> Result<(), Failure> {
    shared.accounts.copies().enter(std::slice::from_ref(copy)).await.map_err(unknown)
}
