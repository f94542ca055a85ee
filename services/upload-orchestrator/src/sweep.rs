//! Removes what killed processes and forgetful clients leave: bytes that no record names, ids
//! that expired without content, and what was put into a bucket without us and not completed.
//!
//! Bytes lie by the hour in which their upload began. Every upload is over some time after
//! that: then, once, its bytes are looked at, and whether a record names them. How far that has
//! come is noted in the store.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, future::try_join_all};
use heliograph_blobs::{BlobError, Key};
use heliograph_catalog::{
    BlobOwner, CatalogError, FoundReserved, blob_owner, blobs_prefix, direct_key, direct_prefix, hour_prefix,
    note_owner, removals_prefix,
};
use heliograph_proto::BlobId;
use heliograph_types::{Mxc, StoreName, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{registry::Shared, upload},
    discard::remove,
    metrics, moderate, sharing,
};

/// Files are dated by the file system, whose clock is coarser than ours or another's. What
/// is younger goes at the next start, or with the bytes of its upload.
const CLOCKS_APART: Duration = Duration::from_mins(1);
/// Who sweeps, and for how long without renewal.
const SWEEPER: &str = "sweep";
const SWEEPER_TTL: Duration = Duration::from_mins(10);
const HOUR: Duration = Duration::from_hours(1);
/// Of more hours than this, all bytes are looked through for those of these hours.
const MOST_HOURS: usize = 24 * 30;
/// Bytes that are looked at at once.
const AT_ONCE: usize = 16;
/// A completion that has begun takes no longer after the id has expired.
const COMPLETED_WITHIN: Duration = Duration::from_hours(1);
/// References are looked through this often.
const REFERENCES_EVERY: Duration = Duration::from_hours(24);

/// Sweeps now and then until shutdown. With `dead_before`, what is older is removed at once.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken, dead_before: Option<Timestamp>) {
    if let Some(dead_before) = dead_before {
        sweep_until(&shared, dead_before, &shutdown).await;
        let staged = shared.blobs.clear_staged(None, dead_before - CLOCKS_APART);
        if let Some(cleared) = shutdown.run_until_cancelled(staged).await {
            told("half-written files", cleared);
        }
    }
    while !shutdown.is_cancelled() {
        sweep_until(&shared, shared.dead_before(), &shutdown).await;
        shutdown.run_until_cancelled(tokio::time::sleep(shared.config.sweep_interval)).await;
    }
}

/// One sweep, by one instance at a time: false if it is not our turn. What cannot be removed is left
/// for the next one.
#[cfg(test)]
pub(crate) async fn sweep(shared: &Shared, dead_before: Timestamp) -> bool {
    sweep_until(shared, dead_before, &CancellationToken::new()).await
}

/// One sweep, by one instance at a time: false if it is not our turn. What cannot be removed, or not
/// until shutdown, is left for the next one, whose turn it is at once.
async fn sweep_until(shared: &Shared, dead_before: Timestamp, shutdown: &CancellationToken) -> bool {
    let lease = match shared.state.try_acquire(SWEEPER, SWEEPER_TTL).await {
        Ok(Some(lease)) => lease,
        Ok(None) => return false,
        Err(error) => {
            tracing::warn!(%error, "not sweeping without the shared state");
            return false;
        }
    };
    shutdown.run_until_cancelled(sweep_all(shared, dead_before)).await;
    if let Err(error) = shared.state.release(&lease).await {
        tracing::debug!(%error, "lease left to expire");
    }
    true
}

async fn sweep_all(shared: &Shared, dead_before: Timestamp) {
    told("uploads", sweep_blobs(shared, dead_before).await);
    told("removals", sweep_removals(shared, dead_before).await);
    sweep_reservations(shared).await;
    told("what was put into the store directly", sweep_direct(shared).await);
}

fn told<E: std::fmt::Display>(what: &str, swept: Result<usize, E>) {
    match swept {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed remains of {what}"),
        Err(error) => tracing::warn!(%error, "the sweep of {what} was interrupted"),
    }
}

/// Looks at the bytes of all uploads that began before `until` and were not looked at yet.
async fn sweep_blobs(shared: &Shared, until: Timestamp) -> Result<usize, CatalogError> {
    // A time that is still to come is that of a clock which was wrong.
    let since = shared.catalog.find_swept().await?.filter(|since| *since <= shared.clock.now()).unwrap_or_default();
    if since >= until {
        return Ok(0);
    }
    let mut removed = 0;
    for store in shared.stores() {
        for prefix in prefixes(since, until, store.as_ref()) {
            // What a store does not let us look at is no reason to leave the rest.
            told("unfinished uploads", shared.blobs.clear_staged(Some(&prefix), until - CLOCKS_APART).await);
            removed += sweep_below(shared, &prefix, since, until).await?;
        }
    }
    if is_another_day(since, until) {
        removed += sharing::sweep_references(shared, since - REFERENCES_EVERY - HOUR).await?;
    }
    shared.catalog.note_swept(until).await?;
    Ok(removed)
}

fn is_another_day(since: Timestamp, until: Timestamp) -> bool {
    let day = |at: Timestamp| u128::from(at.as_millis()) / REFERENCES_EVERY.as_millis();
    day(since) != day(until)
}

/// Where the bytes of uploads lie that began in a span of time.
fn prefixes(since: Timestamp, until: Timestamp, store: Option<&StoreName>) -> Vec<Key> {
    let mut hours: Vec<Key> = Vec::new();
    let mut at = since;
    while at < until && hours.len() <= MOST_HOURS {
        hours.push(hour_prefix(at, store));
        at = at + HOUR;
    }
    // The hour of the end, if it has begun since.
    hours.push(hour_prefix(until, store));
    hours.dedup();
    if hours.len() > MOST_HOURS { vec![blobs_prefix(store)] } else { hours }
}

async fn sweep_below(shared: &Shared, prefix: &Key, since: Timestamp, until: Timestamp) -> Result<usize, CatalogError> {
    let mut removed = 0;
    let mut chunks = shared.blobs.list(prefix).chunks(AT_ONCE);
    while let Some(chunk) = chunks.next().await {
        let looks = chunk.into_iter().map(|found| async move {
            let (blob, _) = found.map_err(CatalogError::Store)?;
            match blob_owner(&blob).filter(|owner| owner.began_at >= since && owner.began_at < until) {
                Some(owner) => sweep_one(shared, &blob, &owner).await,
                None => Ok(false),
            }
        });
        removed += try_join_all(looks).await?.into_iter().filter(|is_gone| *is_gone).count();
    }
    Ok(removed)
}

/// Removes bytes that no record names and nobody here is uploading. True if they are gone.
async fn sweep_one(shared: &Shared, blob: &Key, owner: &BlobOwner) -> Result<bool, CatalogError> {
    let is_in_progress = owner.blob_id.parse::<BlobId>().is_ok_and(|id| shared.uploads.find(&id).is_some());
    let record = shared.catalog.find_now(&owner.mxc).await?;
    let is_named = record.is_some_and(|record| record.holds(blob));
    if is_in_progress || is_named {
        return Ok(false);
    }
    sharing::note_removal(shared, &owner.mxc, blob).await?;
    let is_gone = finish(shared, &owner.mxc, blob).await?;
    if is_gone {
        tracing::info!(mxc = %owner.mxc, "removed the remains of an upload");
        metrics::swept("upload");
    }
    Ok(is_gone)
}

/// Removes bytes whose removal was noted, and half a record, which who was killed while it wrote
/// one has left. While somebody fills the id that half may be theirs: then a note is left, for
/// the next sweep to look again.
async fn finish(shared: &Shared, mxc: &Mxc, blob: &Key) -> Result<bool, CatalogError> {
    let lease_key = upload::lease_key(mxc);
    let cleared = owning(shared, &lease_key, shared.catalog.clear_leftovers(mxc)).await.transpose()?;
    let is_gone = moderate::finish_removal(shared, mxc, blob).await?;
    if cleared.is_none() {
        sharing::note_removal(shared, mxc, blob).await?;
    }
    Ok(is_gone)
}

/// What `work` answers, if nobody else owns `key`.
async fn owning<T>(shared: &Shared, key: &str, work: impl Future<Output = T>) -> Option<T> {
    let lease = shared.state.try_acquire(key, upload::LEASE_TTL).await.ok().flatten()?;
    let answer = work.await;
    if let Err(error) = shared.state.release(&lease).await {
        tracing::debug!(key, %error, "lease left to expire");
    }
    Some(answer)
}

/// Finishes removals that were noted before `noted_before` and not finished. Not of a medium that
/// somebody is just removing or changing: the note is theirs too.
async fn sweep_removals(shared: &Shared, noted_before: Timestamp) -> Result<usize, CatalogError> {
    let mut finished = 0;
    let mut notes = shared.blobs.list(&removals_prefix(None));
    while let Some((note, _)) = notes.try_next().await.map_err(CatalogError::Store)? {
        let Some((blob_id, mxc)) = note_owner(&note) else { continue };
        let work = sweep_removal(shared, &blob_id, &mxc, noted_before);
        let is_gone = owning(shared, &moderate::lease_key(&mxc), work).await.transpose()?;
        finished += usize::from(is_gone == Some(true));
    }
    Ok(finished)
}

async fn sweep_removal(
    shared: &Shared,
    blob_id: &str,
    mxc: &Mxc,
    noted_before: Timestamp,
) -> Result<bool, CatalogError> {
    let removal = match shared.catalog.find_removal(blob_id, mxc).await {
        Ok(Some(removal)) if removal.noted_at < noted_before => removal,
        Ok(_) => return Ok(false),
        Err(error) => {
            tracing::warn!(%mxc, blob_id, %error, "a note cannot be read; the bytes stay");
            return Ok(false);
        }
    };
    let Ok(blob) = Key::new(removal.blob) else { return Ok(false) };
    finish(shared, mxc, &blob).await
}

async fn sweep_reservations(shared: &Shared) {
    let now = shared.clock.now();
    let mut reservations = std::pin::pin!(shared.catalog.all_reserved());
    while let Some(found) = reservations.next().await {
        let expired = match found {
            Ok(found) if expires_at(shared, &found) <= now => found.mxc,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(%error, "a reservation cannot be read");
                continue;
            }
        };
        match sweep_reservation(shared, &expired).await {
            Ok(true) => metrics::swept("reservation"),
            Ok(false) => {}
            Err(error) => tracing::warn!(mxc = %expired, %error, "an expired reservation stays"),
        }
    }
}

/// One that a power cut has spoilt goes when it would have gone; it may also be one that is just being
/// written.
fn expires_at(shared: &Shared, found: &FoundReserved) -> Timestamp {
    let spoilt = || found.written_at + shared.config.unused_lifetime;
    found.reserved.as_ref().map_or_else(spoilt, |reserved| reserved.unused_expires_at)
}

/// Removes an expired reservation, and what was put there without us; not while it is being
/// filled.
async fn sweep_reservation(shared: &Shared, expired: &Mxc) -> Result<bool, CatalogError> {
    let removal = async {
        if shared.config.direct {
            for store in shared.stores() {
                let direct = direct_key(expired, store.as_ref());
                shared.blobs.delete(&direct).await.map_err(CatalogError::Store)?;
            }
        }
        shared.catalog.remove_reserved(expired).await
    };
    let removed = owning(shared, &upload::lease_key(expired), removal).await.transpose()?;
    Ok(removed.is_some())
}

/// Removes what was put into the stores without us and can no longer be completed. A URL works
/// on after the completion: what is put there then nobody gets, and it goes here.
async fn sweep_direct(shared: &Shared) -> Result<usize, BlobError> {
    let expired = shared.clock.now() - shared.config.unused_lifetime - COMPLETED_WITHIN;
    let mut removed = 0;
    for store in shared.stores() {
        let mut entries = shared.blobs.list(&direct_prefix(store.as_ref()));
        while let Some((key, written_at)) = entries.try_next().await? {
            if written_at < expired {
                remove(&*shared.blobs, &key).await?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u64, minutes: u64) -> Timestamp {
        Timestamp::from_millis((hours * 60 + minutes) * 60_000)
    }

    fn names(since: Timestamp, until: Timestamp) -> Vec<String> {
        prefixes(since, until, None).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_hour_of_a_span_is_looked_at_once() {
        assert_eq!(names(at(5, 10), at(5, 20)), ["blobs/1970-01-01T05"]);
        assert_eq!(names(at(5, 50), at(6, 10)), ["blobs/1970-01-01T05", "blobs/1970-01-01T06"]);
        assert_eq!(names(at(5, 10), at(7, 20)).len(), 3);
        assert_eq!(names(at(5, 10), at(7, 5)).len(), 3);
        assert_eq!(names(at(0, 0), at(24 * 365, 0)), ["blobs"]);
    }
}
