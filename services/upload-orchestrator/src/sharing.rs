//! One blob for the same content of several media (deduplication), and when it can go.
//!
//! The key of a blob says whose it was first; every further medium that uses it leaves a note,
//! its reference, before its record. Whoever wants to remove the blob leaves a note of that
//! first, and looks for references then; whoever wants to use it leaves its reference first,
//! and looks for notes of removal then. So at least one of the two sees the other: a blob that
//! a record names is never removed, and no lock is needed for that.
//!
//! Which content there is already, an index in the shared state tells. It may be lost, or be
//! wrong: then content is stored twice.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use heliograph_blobs::Key;
use heliograph_catalog::{
    CatalogError, MediaRecord, Removal, blob_owner, note_owner, ref_key, refs_prefix, removals_prefix,
};
use heliograph_types::{Mxc, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    actors::registry::Shared,
    discard::{remove, remove_all},
    metrics,
};

/// How long content is known that nobody uploads again.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// No reference is larger.
const MOST_REFERENCE_BYTES: u64 = 4 << 10;

/// What a reference says.
#[derive(Debug, Serialize, Deserialize)]
struct Reference {
    /// In ms since 1970.
    since: Timestamp,
}

/// Where the same content may be: copies of remote media share among themselves, and so do the
/// media of each of our server names; each only within one store.
fn index_key(record: &MediaRecord) -> Option<String> {
    let is_known = !record.sha256.is_empty() && record.size_bytes > 0;
    let tenant = if record.uploader.is_some() { record.mxc.server_name.as_str() } else { "remote" };
    let store = record.blob.strip_prefix("store/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    is_known.then(|| format!("content:{tenant}:{store}:{}", record.sha256))
}

/// The key of a blob with this very content, that the record may name from now on: it has left
/// its reference there. `None` if there is none, or that is not sure: sharing only saves room.
pub(crate) async fn share(shared: &Shared, record: &MediaRecord) -> Option<Key> {
    let index = index_key(record).filter(|_| shared.config.deduplicate)?;
    let known = match shared.state.find_cached(&index).await {
        Ok(known) => known?,
        Err(error) => {
            tracing::debug!(%error, "not looking for the same content");
            return None;
        }
    };
    let blob = std::str::from_utf8(&known).ok().and_then(|key| Key::new(key).ok())?;
    if blob.as_str() == record.blob {
        return None;
    }
    match refer(shared, record, &blob).await {
        Ok(true) => {
            metrics::shared(record.size_bytes);
            Some(blob)
        }
        outcome => {
            tracing::debug!(mxc = %record.mxc, %blob, ?outcome, "the same content cannot be used");
            release(shared, &record.mxc, &blob).await;
            // What is wrong is not asked for again.
            drop(shared.state.forget(&index).await);
            None
        }
    }
}

/// Leaves a reference; then looks whether the blob is there, and is to stay.
async fn refer(shared: &Shared, record: &MediaRecord, blob: &Key) -> Result<bool, CatalogError> {
    let Some(owner) = blob_owner(blob) else { return Ok(false) };
    let reference = Reference { since: shared.clock.now() };
    let json = serde_json::to_vec(&reference).map(Bytes::from).unwrap_or_default();
    let note = ref_key(&owner.blob_id, &record.mxc);
    shared.blobs.put(&note, json).await.map_err(CatalogError::Store)?;
    if shared.blobs.list(&removals_prefix(Some(&owner.blob_id))).next().await.is_some() {
        return Ok(false);
    }
    match shared.blobs.size_of(blob).await {
        Ok(size_bytes) => Ok(size_bytes == record.size_bytes),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(CatalogError::Store(error)),
    }
}

/// Takes the reference of a medium back that does not use the blob after all.
pub(crate) async fn release(shared: &Shared, mxc: &Mxc, blob: &Key) {
    let Some(owner) = blob_owner(blob) else { return };
    if let Err(error) = shared.blobs.delete(&ref_key(&owner.blob_id, mxc)).await {
        tracing::warn!(%mxc, %blob, %error, "a reference that is not used stays until the sweep");
    }
}

/// Tells where the content of a medium is, once its record is there.
pub(crate) async fn publish(shared: &Shared, record: &MediaRecord) {
    let Some(index) = index_key(record).filter(|_| shared.config.deduplicate) else { return };
    if let Err(error) = shared.state.cache(&index, Bytes::copy_from_slice(record.blob.as_bytes()), KNOWN_FOR).await {
        tracing::debug!(%error, "the same content will be stored again");
    }
}

/// What became of bytes that were to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They are gone.
    Gone,
    /// Another medium uses them.
    Kept,
    /// Somebody is just about to use them, or was killed doing so: the note stays, and the
    /// sweep looks again.
    Undecided,
}

/// Notes that the bytes of a medium are to go. To be called before its record says so.
pub(crate) async fn note_removal(shared: &Shared, mxc: &Mxc, blob: &Key) -> Result<(), CatalogError> {
    let removal = Removal { blob: blob.to_string(), noted_at: shared.clock.now() };
    shared.catalog.note_removal(&blob_id_of(blob), mxc, &removal).await
}

/// Removes the bytes of a medium whose record does not name them any more, unless others do.
/// The removal must have been noted before. A medium that was not deleted may be just on its way
/// to a new record, which may name them again: then its reference counts as that of any other.
pub(crate) async fn remove_noted(
    shared: &Shared,
    mxc: &Mxc,
    blob: &Key,
    is_deleted: bool,
) -> Result<Outcome, CatalogError> {
    let blob_id = blob_id_of(blob);
    let own = ref_key(&blob_id, mxc);
    if is_deleted {
        shared.blobs.delete(&own).await.map_err(CatalogError::Store)?;
    }
    let outcome = look_for_uses(shared, &blob_id, blob).await?;
    match outcome {
        Outcome::Undecided => return Ok(outcome),
        Outcome::Kept => {
            if !is_deleted && judge(shared, &own, blob).await? == Outcome::Gone {
                shared.blobs.delete(&own).await.map_err(CatalogError::Store)?;
            }
        }
        Outcome::Gone => {
            remove_all(&*shared.blobs, &refs_prefix(Some(&blob_id))).await.map_err(CatalogError::Store)?;
            remove(&*shared.blobs, blob).await.map_err(CatalogError::Store)?;
        }
    }
    shared.catalog.forget_removal(&blob_id, mxc).await?;
    Ok(outcome)
}

async fn look_for_uses(shared: &Shared, blob_id: &str, blob: &Key) -> Result<Outcome, CatalogError> {
    if let Some(owner) = blob_owner(blob)
        && is_content_of(shared, &owner.mxc, blob).await?
    {
        return Ok(Outcome::Kept);
    }
    let mut outcome = Outcome::Gone;
    let mut references = shared.blobs.list(&refs_prefix(Some(blob_id)));
    while let Some((note, _)) = references.try_next().await.map_err(CatalogError::Store)? {
        match judge(shared, &note, blob).await? {
            Outcome::Kept => return Ok(Outcome::Kept),
            Outcome::Undecided => outcome = Outcome::Undecided,
            Outcome::Gone => {}
        }
    }
    Ok(outcome)
}

/// What a reference is worth: `Gone` if nothing.
async fn judge(shared: &Shared, note: &Key, blob: &Key) -> Result<Outcome, CatalogError> {
    let Some((_, mxc)) = note_owner(note) else { return Ok(Outcome::Gone) };
    let record = shared.catalog.find_now(&mxc).await?;
    match record {
        Some(record) if record.deleted.is_some() => Ok(Outcome::Gone),
        Some(record) if record.blob == blob.as_str() => Ok(Outcome::Kept),
        // A commit leaves its reference before its record.
        _ if is_young(shared, note).await? => Ok(Outcome::Undecided),
        _ => Ok(Outcome::Gone),
    }
}

async fn is_content_of(shared: &Shared, mxc: &Mxc, blob: &Key) -> Result<bool, CatalogError> {
    let record = shared.catalog.find_now(mxc).await?;
    Ok(record.is_some_and(|record| record.holds(blob)))
}

/// Whether the commit that left a reference may still be going on.
async fn is_young(shared: &Shared, note: &Key) -> Result<bool, CatalogError> {
    let since = match shared.blobs.get(note, MOST_REFERENCE_BYTES).await {
        Ok(json) => serde_json::from_slice::<Reference>(&json).map(|reference| reference.since).unwrap_or_default(),
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(CatalogError::Store(error)),
    };
    Ok(since >= shared.dead_before())
}

/// Removes references that no record has followed. Answers how many.
pub(crate) async fn sweep_references(shared: &Shared, written_after: Timestamp) -> Result<usize, CatalogError> {
    let mut removed = 0;
    let mut references = shared.blobs.list(&refs_prefix(None));
    while let Some((note, written_at)) = references.try_next().await.map_err(CatalogError::Store)? {
        let Some((blob_id, mxc)) = note_owner(&note).filter(|_| written_at >= written_after) else { continue };
        let record = shared.catalog.find_now(&mxc).await?;
        let is_used = record.is_some_and(|record| {
            record.deleted.is_none() && record.blob_key().is_ok_and(|blob| blob_id_of(&blob) == blob_id)
        });
        if !is_used && !is_young(shared, &note).await? {
            shared.blobs.delete(&note).await.map_err(CatalogError::Store)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The upload that brought these bytes. Bytes that others have put there are called by their name.
pub(crate) fn blob_id_of(blob: &Key) -> String {
    let name = || blob.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    blob_owner(blob).map_or_else(name, |owner| owner.blob_id)
}
