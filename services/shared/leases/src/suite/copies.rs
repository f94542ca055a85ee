//! What ledgers must do for things that go by their age: entering many, moving them, striking out
//! what has not moved.

use super::bench::Bench;
use crate::{Allowance, Holdings, LedgerEntry};

fn entry(member: &str, bytes: u64, at: u64) -> LedgerEntry {
    LedgerEntry { member: member.to_owned(), bytes, at }
}

fn time(member: &str, at: u64) -> (String, u64) {
    (member.to_owned(), at)
}

async fn entries(bench: &Bench) -> Vec<LedgerEntry> {
    bench.entries("account", false, 0, 100).await.unwrap()
}

pub(super) async fn entries_entered_together_count_each_once_and_keep_the_later_time(bench: Bench) {
    bench.enter("account", &entry("a", 7, 50), None, &Allowance::default()).await.unwrap().unwrap();

    let all = [entry("a", 5, 40), entry("b", 3, 10), entry("c", 0, 60), entry("b", 4, 30)];
    bench.enter_all("account", &all).await.unwrap();
    bench.enter_all("account", &all).await.unwrap();
    bench.enter_all("account", &[]).await.unwrap();
    bench.enter_all("another", &[entry("a", 1, 1)]).await.unwrap();

    assert_eq!(entries(&bench).await, [entry("b", 4, 30), entry("a", 5, 50), entry("c", 0, 60)]);
    assert_eq!(bench.holdings("account").await.unwrap(), Holdings { bytes: 9, files: 3 });
}

pub(super) async fn members_move_to_later_times_alone_and_only_if_they_are_there(bench: Bench) {
    let now = 1_764_000_000_123;
    bench.enter_all("account", &[entry("a", 1, 10), entry("b", 2, 20), entry("c", 3, now)]).await.unwrap();

    let later = [time("a", now + 1), time("b", 19), time("gone", 5), time("c", now)];
    let moved = bench.move_up("account", &later).await.unwrap();

    assert_eq!(moved, 1);
    assert_eq!(entries(&bench).await, [entry("b", 2, 20), entry("c", 3, now), entry("a", 1, now + 1)]);
    assert_eq!(bench.holdings("account").await.unwrap(), Holdings { bytes: 6, files: 3 });
    assert_eq!(bench.move_up("account", &[]).await.unwrap(), 0);
    assert_eq!(bench.move_up("no such account", &later).await.unwrap(), 0);
}

pub(super) async fn who_is_later_is_not_struck_out(bench: Bench) {
    bench.enter_all("account", &[entry("a", 1, 10), entry("b", 2, 20)]).await.unwrap();

    let struck = [("a", 9), ("a", 10), ("a", 10), ("b", 21), ("gone", 50)];
    let mut outcomes = Vec::new();
    for (member, at) in struck {
        outcomes.push(bench.strike_unless_later("account", member, at).await.unwrap());
    }

    assert_eq!(outcomes, [false, true, false, true, false]);
    assert_eq!(entries(&bench).await, []);
    assert_eq!(bench.holdings("account").await.unwrap(), Holdings::default());
}

pub(super) async fn of_many_who_strike_one_does(bench: Bench) {
    bench.enter_all("account", &[entry("a", 1, 10), entry("b", 2, 20)]).await.unwrap();

    let struck =
        bench.at_once(20, |state, _| async move { state.strike_unless_later("account", "a", 10).await.unwrap() }).await;

    assert_eq!(struck.into_iter().filter(|struck| *struck).count(), 1);
    assert_eq!(bench.holdings("account").await.unwrap(), Holdings { bytes: 2, files: 1 });
}

pub(super) async fn times_come_in_their_order(bench: Bench) {
    let now = 1_764_000_000_123;
    bench.enter_all("account", &[entry("a", 1, now), entry("b", 2, 20)]).await.unwrap();

    let asked = ["b", "gone", "a"].map(str::to_owned);

    assert_eq!(bench.times("account", &asked).await.unwrap(), [Some(20), None, Some(now)]);
    assert_eq!(bench.times("no such account", &asked).await.unwrap(), [None; 3]);
    assert_eq!(bench.times("account", &[]).await.unwrap(), []);
}

pub(super) async fn many_at_once_are_taken(bench: Bench) {
    const MANY: u64 = 5000;
    let name = |n: u64| format!("mxc://far.example/{n:05}");
    let all: Vec<LedgerEntry> = (0..MANY).map(|n| entry(&name(n), n, n)).collect();

    bench.enter_all("account", &all).await.unwrap();
    let later: Vec<(String, u64)> = (0..MANY).map(|n| (name(n), 2 * MANY - n)).collect();
    let moved = bench.move_up("account", &later).await.unwrap();

    assert_eq!(moved, MANY);
    assert_eq!(bench.holdings("account").await.unwrap(), Holdings { bytes: MANY * (MANY - 1) / 2, files: MANY });
    let first = bench.entries("account", false, 0, 1).await.unwrap();
    assert_eq!(first, [entry(&name(MANY - 1), MANY - 1, MANY + 1)]);
}
