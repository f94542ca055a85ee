//! What budgets must do.

use std::time::Duration;

use super::bench::Bench;
use crate::{Budget, Spent};

/// Refills too slowly to matter within a test.
const SLOW: Budget = Budget { capacity: 5, period: Duration::from_hours(5) };

/// Refills while one waits, though not between two calls on a busy machine.
const FAST: Budget = Budget { capacity: 10, period: Duration::from_secs(5) };

fn retry_after(spent: Spent) -> Duration {
    match spent {
        Spent::No { retry_after } => retry_after,
        Spent::Yes => panic!("it was spent"),
    }
}

pub(super) async fn no_more_than_the_capacity_is_spent_at_once(bench: Bench) {
    for _ in 0..5 {
        assert_eq!(bench.try_spend("key", SLOW, 1).await.unwrap(), Spent::Yes);
    }

    let wait = retry_after(bench.try_spend("key", SLOW, 1).await.unwrap());

    assert!(wait > Duration::from_mins(50) && wait <= Duration::from_hours(1), "{wait:?}");
    assert_eq!(bench.try_spend("another key", SLOW, 5).await.unwrap(), Spent::Yes);
}

pub(super) async fn many_callers_share_one_budget(bench: Bench) {
    let spent = bench.at_once(50, |state, _| async move { state.try_spend("key", SLOW, 1).await.unwrap() }).await;

    assert_eq!(spent.iter().filter(|spent| **spent == Spent::Yes).count(), 5);
}

pub(super) async fn there_is_enough_after_the_time_it_said(bench: Bench) {
    assert_eq!(bench.try_spend("key", FAST, 10).await.unwrap(), Spent::Yes);
    let wait = retry_after(bench.try_spend("key", FAST, 10).await.unwrap());

    bench.pass(wait / 2).await;
    let still = retry_after(bench.try_spend("key", FAST, 10).await.unwrap());
    bench.pass(still).await;

    assert!(wait <= FAST.period && still <= wait / 2 + Duration::from_millis(1), "{wait:?}, then {still:?}");
    assert_eq!(bench.try_spend("key", FAST, 10).await.unwrap(), Spent::Yes);
}

pub(super) async fn what_is_refused_costs_nothing(bench: Bench) {
    assert_eq!(bench.try_spend("key", SLOW, 3).await.unwrap(), Spent::Yes);

    for _ in 0..10 {
        retry_after(bench.try_spend("key", SLOW, 3).await.unwrap());
    }

    assert_eq!(bench.try_spend("key", SLOW, 2).await.unwrap(), Spent::Yes);
}

pub(super) async fn more_than_the_capacity_empties_the_bucket_but_passes(bench: Bench) {
    assert_eq!(bench.try_spend("key", SLOW, u64::MAX).await.unwrap(), Spent::Yes);

    let one = retry_after(bench.try_spend("key", SLOW, 1).await.unwrap());
    let all = retry_after(bench.try_spend("key", SLOW, u64::MAX).await.unwrap());

    assert!(one <= Duration::from_hours(1) && all > Duration::from_hours(4), "{one:?}, {all:?}");
}

pub(super) async fn nothing_can_be_spent_from_an_empty_bucket(bench: Bench) {
    bench.try_spend("key", SLOW, 5).await.unwrap();

    assert_eq!(bench.try_spend("key", SLOW, 0).await.unwrap(), Spent::Yes);
    assert_eq!(bench.try_spend("unused", SLOW, 0).await.unwrap(), Spent::Yes);
}
