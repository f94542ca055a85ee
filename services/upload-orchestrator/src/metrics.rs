//! Every metric of this service.

use heliograph_catalog::MediaRecord;
use heliograph_leases::Holdings;
use heliograph_proto::Action;
use metrics::{counter, gauge};

use crate::evict::Reason;

/// An upload was admitted.
pub(crate) fn began() {
    gauge!("heliograph_uploads_in_progress").increment(1);
}

/// An upload is over, in whatever way.
pub(crate) fn ended() {
    gauge!("heliograph_uploads_in_progress").decrement(1);
}

/// A medium was committed. Its server name is one of ours if somebody has uploaded it; of all
/// others there is no bound.
pub(crate) fn committed(record: &MediaRecord) {
    let tenant = if record.uploader.is_some() { record.mxc.server_name.to_string() } else { "remote".to_owned() };
    counter!("heliograph_uploads_committed_total", "tenant" => tenant.clone()).increment(1);
    counter!("heliograph_uploads_committed_bytes_total", "tenant" => tenant).increment(record.size_bytes);
}

/// Content of this size that was put into the store without us was committed.
pub(crate) fn completed(size_bytes: u64) {
    counter!("heliograph_uploads_direct_total").increment(1);
    counter!("heliograph_uploads_direct_bytes_total").increment(size_bytes);
}

/// Content of this size was there already, and is stored once.
pub(crate) fn shared(size_bytes: u64) {
    counter!("heliograph_uploads_deduplicated_total").increment(1);
    counter!("heliograph_uploads_deduplicated_bytes_total").increment(size_bytes);
}

/// An upload was refused, or given up.
pub(crate) fn refused(reason: &'static str) {
    counter!("heliograph_uploads_refused_total", "reason" => reason).increment(1);
}

/// A medium was quarantined, protected or deleted, or such a thing was taken back.
pub(crate) fn moderated(action: Action) {
    let action = match action {
        Action::Quarantine => "quarantine",
        Action::Unquarantine => "unquarantine",
        Action::Protect => "protect",
        Action::Unprotect => "unprotect",
        Action::Delete => "delete",
    };
    counter!("heliograph_media_moderated_total", "action" => action).increment(1);
}

/// Remains of an upload, or an expired id, were removed.
pub(crate) fn swept(what: &'static str) {
    counter!("heliograph_uploads_swept_total", "what" => what).increment(1);
}

/// What there is of remote media, whatever may not go left out.
#[expect(clippy::cast_precision_loss, reason = "nobody sees the difference")]
pub(crate) fn remote_copies(total: &Holdings) {
    gauge!("heliograph_remote_copies").set(total.files as f64);
    gauge!("heliograph_remote_copies_bytes").set(total.bytes as f64);
}

/// A copy of remote media of this size was removed.
pub(crate) fn evicted(reason: Reason, size_bytes: u64) {
    let reason = match reason {
        Reason::Idle => "idle",
        Reason::Space => "space",
        Reason::Purge => "purge",
    };
    counter!("heliograph_remote_copies_evicted_total", "reason" => reason).increment(1);
    counter!("heliograph_remote_copies_evicted_bytes_total", "reason" => reason).increment(size_bytes);
}
