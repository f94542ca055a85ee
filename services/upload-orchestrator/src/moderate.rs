//! Quarantine, protection and deletion of what is stored.
//!
//! A change is read, decided and written by whoever holds the lease on the medium. Deletion
//! begins with a note on the blob and a tombstone: from then on nobody gets the medium, and
//! what a killed process leaves of it is removed by the sweep.

use std::{sync::Arc, time::Duration};

use heliograph_blobs::Key;
use heliograph_catalog::{CatalogError, MediaRecord, Verdict, thumbnails_prefix};
use heliograph_leases::Lease;
use heliograph_proto::{Action, Moderate};
use heliograph_types::{ErrorCode, Failure, Mxc};

use crate::{actors::registry::Shared, discard::remove_all, metrics, sharing};

/// A change takes milliseconds, the removal of many thumbnails a little longer.
const LEASE_TTL: Duration = Duration::from_secs(30);
/// How long to wait for another change of the same medium.
const PATIENCE: Duration = Duration::from_secs(10);
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// Does what was asked for; answers whether anything changed.
pub(crate) async fn moderate(shared: &Arc<Shared>, request: &Moderate) -> Result<bool, Failure> {
    let lease = own(shared, &request.mxc).await?;
    let outcome = change(shared, request).await;
    if let Some(lease) = lease
        && let Err(error) = shared.state.release(&lease).await
    {
        tracing::debug!(key = lease.key, %error, "lease left to expire");
    }
    // Previews end by the thousand, and nobody has moderated anything.
    if let Ok(true) = outcome
        && !request.moderator.is_of_previews()
    {
        tracing::info!(mxc = %request.mxc, action = ?request.action, moderator = %request.moderator, "moderated");
        metrics::moderated(request.action);
    }
    outcome
}

/// Who changes a medium, or removes a copy, owns this.
pub(crate) fn lease_key(mxc: &Mxc) -> String {
    format!("medium:{mxc}")
}

/// The lease on a medium; none without the shared state, where changes must go on.
async fn own(shared: &Shared, mxc: &Mxc) -> Result<Option<Lease>, Failure> {
    let key = lease_key(mxc);
    let trying = async {
        loop {
            match shared.state.try_acquire(&key, LEASE_TTL).await {
                Ok(Some(lease)) => return Some(lease),
                Ok(None) => tokio::time::sleep(TRY_AGAIN).await,
                Err(error) => {
                    tracing::warn!(%mxc, %error, "changing a medium without a lease");
                    return None;
                }
            }
        }
    };
    let busy = |_| Failure::unavailable("this medium is just being changed by somebody else");
    tokio::time::timeout(PATIENCE, trying).await.map_err(busy)
}

async fn change(shared: &Arc<Shared>, Moderate { mxc, action, moderator }: &Moderate) -> Result<bool, Failure> {
    let record = shared.catalog.find_now(mxc).await?.ok_or_else(Failure::not_found)?;
    if record.deleted.is_some() {
        return finish_deletion(shared, &record, *action).await;
    }
    let verdict = Verdict { by: moderator.clone(), at: shared.clock.now() };
    let Some(changed) = decide(&record, *action, verdict) else { return Ok(false) };
    let blob = record.blob_key()?;
    if changed.deleted.is_some() {
        sharing::note_removal(shared, mxc, &blob).await?;
    }
    shared.catalog.replace(&changed).await?;
    if changed.deleted.is_some() {
        erase(shared, &changed, &blob).await?;
        forget_picture(shared, &changed).await?;
    } else if changed.is_remote_copy() {
        shared.accounts.follow_verdict(&changed).await;
    }
    Ok(true)
}

/// The record as it is to be; `None` if there is nothing to change.
fn decide(record: &MediaRecord, action: Action, verdict: Verdict) -> Option<MediaRecord> {
    let mut changed = record.clone();
    match action {
        // Protected: somebody has looked at it, and found it good.
        Action::Quarantine if record.protected || record.quarantined.is_some() => return None,
        Action::Quarantine => changed.quarantined = Some(verdict),
        Action::Unquarantine => changed.quarantined = None,
        Action::Protect => changed.protected = true,
        Action::Unprotect => changed.protected = false,
        Action::Delete => changed.deleted = Some(verdict),
    }
    (changed != *record).then_some(changed)
}

/// A deletion that was interrupted can be asked for again.
async fn finish_deletion(shared: &Arc<Shared>, record: &MediaRecord, action: Action) -> Result<bool, Failure> {
    let blob = record.blob_key()?;
    let note = shared.catalog.find_removal(&sharing::blob_id_of(&blob), &record.mxc).await?;
    if action != Action::Delete || note.is_none() && !record.is_of_preview() {
        return Err(Failure::not_found());
    }
    if note.is_some() {
        erase(shared, record, &blob).await?;
    }
    forget_picture(shared, record).await?;
    Ok(true)
}

/// Of the picture of a preview no tombstone is left: there would be ever more of them, and its
/// id is random.
async fn forget_picture(shared: &Shared, record: &MediaRecord) -> Result<(), Failure> {
    if record.is_of_preview() {
        shared.catalog.remove_copy(&record.mxc).await?;
    }
    Ok(())
}

async fn erase(shared: &Shared, record: &MediaRecord, blob: &Key) -> Result<(), Failure> {
    shared.accounts.strike(record).await;
    finish_removal(shared, &record.mxc, blob).await.map(drop).map_err(|error| {
        tracing::error!(mxc = %record.mxc, %error, "a deleted medium is not gone from the store yet");
        Failure::new(
            ErrorCode::Unavailable,
            "nobody gets the medium any more, but its content could not be removed yet",
        )
    })
}

/// Removes thumbnails and bytes of a medium whose removal was noted. If its record names the
/// bytes after all, only the note goes, and a copy is entered again: who was about to remove it
/// may have died. True if something is gone.
pub(crate) async fn finish_removal(shared: &Shared, mxc: &Mxc, blob: &Key) -> Result<bool, CatalogError> {
    let record = shared.catalog.find_now(mxc).await?;
    if let Some(record) = record.as_ref().filter(|record| record.holds(blob)) {
        shared.accounts.enter_copy_again(record).await;
        shared.catalog.forget_removal(&sharing::blob_id_of(blob), mxc).await?;
        return Ok(false);
    }
    let is_deleted = record.as_ref().is_some_and(|record| record.deleted.is_some());
    if is_deleted || record.is_none() {
        remove_all(&*shared.blobs, &thumbnails_prefix(mxc)).await.map_err(CatalogError::Store)?;
    }
    sharing::remove_noted(shared, mxc, blob, is_deleted).await.map(|outcome| outcome == sharing::Outcome::Gone)
}

#[cfg(test)]
mod tests {
    use heliograph_types::{ContentType, Timestamp};

    use super::*;

    fn verdict() -> Verdict {
        Verdict { by: "@mod:a.example".parse().unwrap(), at: Timestamp::from_millis(9) }
    }

    fn record() -> MediaRecord {
        MediaRecord {
            schema: MediaRecord::SCHEMA,
            mxc: "mxc://a.example/x".parse().unwrap(),
            content_type: ContentType::octet_stream(),
            sniffed_type: None,
            size_bytes: 1,
            sha256: String::new(),
            blob: "blobs/aa/x".to_owned(),
            upload: None,
            direct: false,
            uploader: None,
            file_name: None,
            created_at: Timestamp::from_millis(1),
            quarantined: None,
            protected: false,
            deleted: None,
        }
    }

    #[test]
    fn each_action_changes_what_it_is_about_and_only_once() {
        let plain = record();
        let quarantined = MediaRecord { quarantined: Some(verdict()), ..record() };
        let protected = MediaRecord { protected: true, ..record() };
        let deleted = MediaRecord { deleted: Some(verdict()), ..record() };

        for (before, action, after) in [
            (&plain, Action::Quarantine, Some(&quarantined)),
            (&quarantined, Action::Quarantine, None),
            (&protected, Action::Quarantine, None),
            (&quarantined, Action::Unquarantine, Some(&plain)),
            (&plain, Action::Unquarantine, None),
            (&plain, Action::Protect, Some(&protected)),
            (&protected, Action::Protect, None),
            (&protected, Action::Unprotect, Some(&plain)),
            (&plain, Action::Unprotect, None),
            (&plain, Action::Delete, Some(&deleted)),
        ] {
            assert_eq!(decide(before, action, verdict()).as_ref(), after, "{action:?}");
        }
    }
}
