//! Every metric of this service.

use heliograph_proto::Action;
use metrics::{counter, gauge};

/// An upload was admitted.
pub(crate) fn began() {
    gauge!("heliograph_uploads_in_progress").increment(1);
}

/// An upload is over, in whatever way.
pub(crate) fn ended() {
    gauge!("heliograph_uploads_in_progress").decrement(1);
}

/// Media of this size was committed.
pub(crate) fn committed(size_bytes: u64) {
    counter!("heliograph_uploads_committed_total").increment(1);
    counter!("heliograph_uploads_committed_bytes_total").increment(size_bytes);
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
