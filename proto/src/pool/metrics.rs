//! What is counted of the instances of other roles.

use metrics::{counter, gauge};

/// How many are known, and how many of them get no calls for now.
#[expect(clippy::cast_precision_loss, reason = "there are not that many")]
pub(super) fn instances(role: &'static str, known: usize, left_out: usize) {
    gauge!("heliograph_instances_known", "role" => role).set(known as f64);
    gauge!("heliograph_instances_left_out", "role" => role).set(left_out as f64);
}

/// A call went to another instance than the one that its key belongs to: that one was `left_out`,
/// has `failed`, or was `saturated`.
pub(super) fn rerouted(role: &'static str, reason: &'static str) {
    counter!("heliograph_calls_rerouted_total", "role" => role, "reason" => reason).increment(1);
}

/// The name of a role was not answered.
pub(super) fn lookup_failed(role: &'static str) {
    counter!("heliograph_instance_lookups_failed_total", "role" => role).increment(1);
}
