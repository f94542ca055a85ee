//! Every metric of this service. Origins are never a label: there is no bound to them.

use std::time::Duration;

use heliograph_types::Failure;
use metrics::{counter, gauge, histogram};

/// A fetch began.
pub(crate) fn fetch_began() {
    gauge!("heliograph_federation_fetches_in_progress").increment(1);
}

/// A fetch is over.
pub(crate) fn fetch_ended(result: Result<(), &Failure>, took: Duration) {
    gauge!("heliograph_federation_fetches_in_progress").decrement(1);
    let label = result.map_or_else(|failure| failure.code.to_string(), |()| "Stored".to_owned());
    counter!("heliograph_federation_fetches_total", "result" => label).increment(1);
    histogram!("heliograph_federation_fetch_seconds").record(took);
}

/// A phase of a fetch has ended, in whatever way.
pub(crate) fn phase_took(phase: &'static str, took: Duration) {
    histogram!("heliograph_federation_phase_seconds", "phase" => phase).record(took);
}

/// A copy was fetched and stored.
pub(crate) fn fetched(size_bytes: u64) {
    counter!("heliograph_federation_fetched_bytes_total").increment(size_bytes);
}

/// What this instance does of a fetch: the origin is asked (`led`, or `taken_over` from an
/// instance that was lost), or another instance that asks it is `followed`.
pub(crate) fn turn(what: &'static str) {
    counter!("heliograph_federation_turns_total", "turn" => what).increment(1);
}

/// A limit of ours struck: somebody was refused.
pub(crate) fn limited(limit: &'static str) {
    counter!("heliograph_federation_limited_total", "limit" => limit).increment(1);
}

/// Something took too long in this phase of a fetch.
pub(crate) fn gave_up(phase: &'static str) {
    counter!("heliograph_federation_gave_up_total", "phase" => phase).increment(1);
}

/// A transfer that broke off goes on, or could not.
pub(crate) fn resumed(how: &'static str) {
    counter!("heliograph_federation_resumptions_total", "result" => how).increment(1);
}

/// An origin was asked for its thumbnail.
pub(crate) fn thumbnail_fetched(result: Result<usize, &Failure>) {
    let label = result.map_or_else(|failure| failure.code.to_string(), |_| "Fetched".to_owned());
    counter!("heliograph_federation_thumbnails_total", "result" => label).increment(1);
    counter!("heliograph_federation_fetched_bytes_total").increment(result.unwrap_or(0) as u64);
}

/// Keys of another server were fetched, or not.
pub(crate) fn keys_fetched(result: &'static str) {
    counter!("heliograph_federation_key_fetches_total", "result" => result).increment(1);
}

/// A preview was asked for: it was `made`, `remembered`, `refused`, or it `failed`.
pub(crate) fn previewed(result: &'static str) {
    counter!("heliograph_previews_total", "result" => result).increment(1);
}

/// A site was visited for a preview.
pub(crate) fn preview_took(span: Duration) {
    histogram!("heliograph_preview_seconds").record(span);
}

/// What became of a picture of a preview: `stored`, `refused`, later `deleted`.
pub(crate) fn preview_picture(result: &'static str) {
    counter!("heliograph_preview_pictures_total", "result" => result).increment(1);
}
