//! What leases must do.

use std::time::Duration;

use super::bench::Bench;
use crate::Lease;

/// Longer than any test.
const LONG: Duration = Duration::from_hours(1);

/// Short enough to wait for. It may end by itself before we do.
const SHORT: Duration = Duration::from_millis(300);

pub(super) async fn one_of_many_callers_gets_the_lease(bench: Bench) {
    let leases = bench.at_once(20, |state, _| async move { state.try_acquire("key", LONG).await.unwrap() }).await;

    assert_eq!(leases.into_iter().flatten().count(), 1);
}

pub(super) async fn a_lease_ends_when_its_time_is_over(bench: Bench) {
    bench.try_acquire("key", SHORT).await.unwrap().unwrap();
    bench.pass(SHORT).await;

    assert!(bench.try_acquire("key", SHORT).await.unwrap().is_some());
}

pub(super) async fn a_renewed_lease_lasts_longer(bench: Bench) {
    // Long enough that it is renewed in time on a busy machine.
    let ttl = Duration::from_secs(3);
    let lease = bench.try_acquire("key", ttl).await.unwrap().unwrap();

    let renewed = bench.renew(&lease, LONG).await.unwrap();
    bench.pass(ttl).await;

    assert!(renewed);
    assert_eq!(bench.try_acquire("key", SHORT).await.unwrap(), None);
    assert!(bench.renew(&lease, LONG).await.unwrap());
}

pub(super) async fn each_owner_has_a_greater_fence(bench: Bench) {
    let first = bench.try_acquire("key", LONG).await.unwrap().unwrap();
    bench.release(&first).await.unwrap();
    let after_release = bench.try_acquire("key", SHORT).await.unwrap().unwrap();
    bench.pass(SHORT).await;
    let after_expiry = bench.try_acquire("key", LONG).await.unwrap().unwrap();

    assert!(first.fence < after_release.fence);
    assert!(after_release.fence < after_expiry.fence);
    assert_ne!(after_release.owner, after_expiry.owner);
}

pub(super) async fn a_lost_lease_cannot_be_renewed(bench: Bench) {
    let lost = bench.try_acquire("key", SHORT).await.unwrap().unwrap();
    bench.pass(SHORT).await;
    let when_expired = bench.renew(&lost, LONG).await.unwrap();
    let current = bench.try_acquire("key", LONG).await.unwrap().unwrap();
    let when_taken = bench.renew(&lost, LONG).await.unwrap();
    bench.release(&current).await.unwrap();
    let when_released = bench.renew(&current, LONG).await.unwrap();

    assert_eq!([when_expired, when_taken, when_released], [false; 3]);
}

pub(super) async fn a_lease_that_is_not_ours_cannot_be_released(bench: Bench) {
    let ours = bench.try_acquire("key", LONG).await.unwrap().unwrap();
    let foreign = Lease { owner: "somebody else".to_owned(), ..ours.clone() };
    let unknown = Lease { key: "no such key".to_owned(), ..ours.clone() };

    bench.release(&foreign).await.unwrap();
    bench.release(&unknown).await.unwrap();

    assert_eq!(bench.try_acquire("key", LONG).await.unwrap(), None);
    assert!(bench.renew(&ours, LONG).await.unwrap());
}

pub(super) async fn leases_of_other_keys_are_free(bench: Bench) {
    let one = bench.try_acquire("key", LONG).await.unwrap();
    let other = bench.try_acquire("key:2", LONG).await.unwrap();

    assert!(one.is_some());
    assert!(other.is_some());
}
