//! What ledgers must do.

use std::time::Duration;

use super::bench::Bench;
use crate::{Allowance, Exceeded, Holdings, LedgerEntry};

/// Longer than any test.
const LONG: Duration = Duration::from_hours(1);

/// Short enough to wait for. It may end by itself before we do.
const SHORT: Duration = Duration::from_millis(300);

/// Leaves while one waits, though not between two calls on a busy machine.
const PERIOD: Duration = Duration::from_secs(5);

const UNLIMITED: Allowance = Allowance { most_bytes: None, most_files: None, most_bytes_per_period: None };

const A_HUNDRED: Allowance = Allowance { most_bytes: Some(100), ..UNLIMITED };

/// So late that every back end takes it for now.
const NOW: u64 = 1 << 50;

fn files(most: u64) -> Allowance {
    Allowance { most_files: Some(most), ..UNLIMITED }
}

fn per(period: Duration) -> Allowance {
    Allowance { most_bytes_per_period: Some((100, period)), ..UNLIMITED }
}

fn entry(member: &str, bytes: u64, at: u64) -> LedgerEntry {
    LedgerEntry { member: member.to_owned(), bytes, at }
}

fn retry_after(refused: Result<(), Exceeded>) -> Duration {
    match refused {
        Err(Exceeded::Period { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    }
}

async fn claim(bench: &Bench, name: &str, bytes: u64, allowance: &Allowance) -> Result<(), Exceeded> {
    bench.claim("account", name, bytes, LONG, allowance).await.unwrap()
}

async fn enter(bench: &Bench, member: &str, bytes: u64, allowance: &Allowance) -> Result<(), Exceeded> {
    bench.enter("account", &entry(member, bytes, NOW), None, allowance).await.unwrap()
}

async fn held(bench: &Bench) -> (u64, u64) {
    let Holdings { bytes, files } = bench.holdings("account").await.unwrap();
    (bytes, files)
}

async fn members(bench: &Bench, newest_first: bool, from: usize, limit: usize) -> Vec<String> {
    let entries = bench.entries("account", newest_first, from, limit).await.unwrap();
    entries.into_iter().map(|entry| entry.member).collect()
}

pub(super) async fn a_claim_counts_until_it_is_given_up(bench: Bench) {
    assert_eq!(claim(&bench, "a", 60, &A_HUNDRED).await, Ok(()));
    assert_eq!(claim(&bench, "b", 41, &A_HUNDRED).await, Err(Exceeded::Bytes));
    assert_eq!(claim(&bench, "b", 40, &A_HUNDRED).await, Ok(()));
    assert_eq!(enter(&bench, "c", 1, &A_HUNDRED).await, Err(Exceeded::Bytes));
    assert_eq!(held(&bench).await, (0, 0));

    bench.unclaim("account", "a").await.unwrap();
    bench.unclaim("account", "a").await.unwrap();
    bench.unclaim("no such account", "a").await.unwrap();

    assert_eq!(enter(&bench, "c", 61, &A_HUNDRED).await, Err(Exceeded::Bytes));
    assert_eq!(enter(&bench, "c", 60, &A_HUNDRED).await, Ok(()));
}

pub(super) async fn a_claim_counts_until_its_time_is_over(bench: Bench) {
    let allowance = Allowance { most_files: Some(2), ..A_HUNDRED };
    bench.claim("account", "short", 60, SHORT, &allowance).await.unwrap().unwrap();
    bench.claim("account", "long", 40, LONG, &allowance).await.unwrap().unwrap();

    bench.pass(SHORT).await;

    assert_eq!(claim(&bench, "new", 61, &allowance).await, Err(Exceeded::Bytes));
    assert_eq!(claim(&bench, "new", 60, &allowance).await, Ok(()));
    assert_eq!(claim(&bench, "newer", 0, &allowance).await, Err(Exceeded::Files));
}

pub(super) async fn a_claim_that_is_repeated_replaces_itself(bench: Bench) {
    bench.claim("account", "a", 100, SHORT, &A_HUNDRED).await.unwrap().unwrap();

    assert_eq!(claim(&bench, "a", 101, &A_HUNDRED).await, Err(Exceeded::Bytes));
    assert_eq!(claim(&bench, "a", 70, &A_HUNDRED).await, Ok(()));
    bench.pass(SHORT).await;

    assert_eq!(claim(&bench, "b", 31, &A_HUNDRED).await, Err(Exceeded::Bytes));
    assert_eq!(claim(&bench, "b", 30, &A_HUNDRED).await, Ok(()));
}

pub(super) async fn claims_at_once_never_exceed_the_bytes(bench: Bench) {
    let claimed = bench
        .at_once(50, |state, caller| async move {
            state.claim("account", &caller.to_string(), 9, LONG, &A_HUNDRED).await.unwrap()
        })
        .await;

    assert_eq!(claimed.iter().filter(|claimed| claimed.is_ok()).count(), 11);
    assert!(claimed.iter().all(|claimed| matches!(claimed, Ok(()) | Err(Exceeded::Bytes))));
}

pub(super) async fn claims_at_once_never_exceed_the_files(bench: Bench) {
    let claimed = bench
        .at_once(50, |state, caller| async move {
            state.claim("account", &caller.to_string(), 9, LONG, &files(7)).await.unwrap()
        })
        .await;

    assert_eq!(claimed.iter().filter(|claimed| claimed.is_ok()).count(), 7);
    assert!(claimed.iter().all(|claimed| matches!(claimed, Ok(()) | Err(Exceeded::Files))));
}

pub(super) async fn entries_at_once_never_exceed_the_bytes(bench: Bench) {
    let entered = bench
        .at_once(50, |state, caller| async move {
            state.enter("account", &entry(&caller.to_string(), 9, NOW), None, &A_HUNDRED).await.unwrap()
        })
        .await;

    assert_eq!(entered.into_iter().flatten().count(), 11);
    assert_eq!(held(&bench).await, (99, 11));
}

pub(super) async fn entries_at_once_never_exceed_the_files(bench: Bench) {
    let entered = bench
        .at_once(50, |state, caller| async move {
            state.enter("account", &entry(&caller.to_string(), 9, NOW), None, &files(7)).await.unwrap()
        })
        .await;

    assert_eq!(entered.into_iter().flatten().count(), 7);
    assert_eq!(held(&bench).await, (63, 7));
}

pub(super) async fn claims_and_entries_at_once_never_exceed_the_period(bench: Bench) {
    let admitted = bench
        .at_once(50, |state, caller| async move {
            let name = caller.to_string();
            if caller % 2 == 0 {
                state.claim("account", &name, 9, LONG, &per(LONG)).await.unwrap()
            } else {
                state.enter("account", &entry(&name, 9, NOW), None, &per(LONG)).await.unwrap()
            }
        })
        .await;

    assert_eq!(admitted.into_iter().flatten().count(), 11);
}

pub(super) async fn an_upload_that_was_claimed_always_fits(bench: Bench) {
    let allowance = Allowance { most_files: Some(11), most_bytes_per_period: Some((100, LONG)), ..A_HUNDRED };
    let entered = bench
        .at_once(50, move |state, caller| async move {
            let name = caller.to_string();
            if state.claim("account", &name, 9, LONG, &allowance).await.unwrap().is_err() {
                return false;
            }
            state.enter("account", &entry(&name, 9, NOW), Some(&name), &allowance).await.unwrap().unwrap();
            true
        })
        .await;

    assert_eq!(entered.into_iter().filter(|entered| *entered).count(), 11);
    assert_eq!(held(&bench).await, (99, 11));
}

pub(super) async fn an_entry_takes_the_place_of_its_claim(bench: Bench) {
    claim(&bench, "claim", 100, &A_HUNDRED).await.unwrap();

    bench.enter("account", &entry("a", 60, NOW), Some("claim"), &A_HUNDRED).await.unwrap().unwrap();

    assert_eq!(held(&bench).await, (60, 1));
    assert_eq!(claim(&bench, "next", 41, &A_HUNDRED).await, Err(Exceeded::Bytes));
    assert_eq!(claim(&bench, "next", 40, &A_HUNDRED).await, Ok(()));
}

pub(super) async fn an_entry_may_be_larger_than_its_claim_where_there_is_room(bench: Bench) {
    claim(&bench, "other", 30, &A_HUNDRED).await.unwrap();
    claim(&bench, "claim", 10, &A_HUNDRED).await.unwrap();

    let refused = bench.enter("account", &entry("a", 71, NOW), Some("claim"), &A_HUNDRED).await.unwrap();
    let claim_stays = claim(&bench, "next", 61, &A_HUNDRED).await;
    let held_then = held(&bench).await;
    let entered = bench.enter("account", &entry("a", 70, NOW), Some("claim"), &A_HUNDRED).await.unwrap();

    assert_eq!((refused, claim_stays, held_then), (Err(Exceeded::Bytes), Err(Exceeded::Bytes), (0, 0)));
    assert_eq!(entered, Ok(()));
    assert_eq!(held(&bench).await, (70, 1));
}

pub(super) async fn an_entry_needs_no_claim(bench: Bench) {
    bench.enter("account", &entry("a", 60, NOW), Some("never claimed"), &A_HUNDRED).await.unwrap().unwrap();
    bench.claim("account", "short", 1, SHORT, &A_HUNDRED).await.unwrap().unwrap();
    bench.pass(SHORT).await;
    bench.enter("account", &entry("b", 40, NOW), Some("short"), &A_HUNDRED).await.unwrap().unwrap();

    assert_eq!(held(&bench).await, (100, 2));
}

pub(super) async fn entering_twice_counts_once(bench: Bench) {
    let allowance = Allowance { most_files: Some(1), most_bytes_per_period: Some((150, LONG)), ..A_HUNDRED };
    claim(&bench, "claim", 80, &allowance).await.unwrap();

    for at in [10, 20] {
        let entered = bench.enter("account", &entry("a", 80, NOW + at), Some("claim"), &allowance).await.unwrap();
        assert_eq!(entered, Ok(()));
    }

    assert_eq!(held(&bench).await, (80, 1));
    assert_eq!(bench.entries("account", true, 0, 10).await.unwrap(), [entry("a", 80, NOW + 20)]);
    let of_the_period = Allowance { most_bytes: None, most_files: None, ..allowance };
    assert_eq!(claim(&bench, "b", 70, &of_the_period).await, Ok(()));
}

pub(super) async fn an_entry_that_changes_its_size_is_checked_for_what_it_grows_by(bench: Bench) {
    enter(&bench, "a", 60, &A_HUNDRED).await.unwrap();
    enter(&bench, "b", 30, &A_HUNDRED).await.unwrap();

    assert_eq!(enter(&bench, "a", 71, &A_HUNDRED).await, Err(Exceeded::Bytes));
    assert_eq!(enter(&bench, "a", 70, &A_HUNDRED).await, Ok(()));
    assert_eq!(held(&bench).await, (100, 2));
    assert_eq!(enter(&bench, "a", 10, &A_HUNDRED).await, Ok(()));
    assert_eq!(held(&bench).await, (40, 2));
}

pub(super) async fn a_smaller_allowance_does_not_refuse_what_is_held_already(bench: Bench) {
    enter(&bench, "a", 60, &UNLIMITED).await.unwrap();
    enter(&bench, "b", 60, &UNLIMITED).await.unwrap();
    let smaller = Allowance { most_bytes: Some(10), most_files: Some(1), most_bytes_per_period: Some((0, LONG)) };

    assert_eq!(enter(&bench, "a", 60, &smaller).await, Ok(()));
    assert_eq!(enter(&bench, "b", 50, &smaller).await, Ok(()));
    assert_eq!(enter(&bench, "b", 51, &smaller).await, Err(Exceeded::Bytes));
    assert_eq!(enter(&bench, "c", 0, &smaller).await, Err(Exceeded::Bytes));
    assert_eq!(held(&bench).await, (110, 2));
}

pub(super) async fn striking_gives_room_back_and_twice_is_harmless(bench: Bench) {
    let allowance = Allowance { most_files: Some(2), ..A_HUNDRED };
    enter(&bench, "a", 60, &allowance).await.unwrap();
    enter(&bench, "b", 40, &allowance).await.unwrap();

    for _ in 0..2 {
        bench.strike("account", "a").await.unwrap();
        assert_eq!(held(&bench).await, (40, 1));
    }
    bench.strike("no such account", "a").await.unwrap();

    assert_eq!(members(&bench, true, 0, 10).await, ["b"]);
    assert_eq!(enter(&bench, "c", 60, &allowance).await, Ok(()));
    bench.strike("account", "b").await.unwrap();
    bench.strike("account", "c").await.unwrap();
    assert_eq!(held(&bench).await, (0, 0));
    assert!(members(&bench, true, 0, 10).await.is_empty());
}

pub(super) async fn there_is_room_in_the_period_after_the_time_it_said(bench: Bench) {
    let allowance = per(PERIOD);
    enter(&bench, "a", 100, &allowance).await.unwrap();
    let wait = retry_after(enter(&bench, "b", 100, &allowance).await);

    bench.pass(wait / 2).await;
    let still = retry_after(claim(&bench, "b", 100, &allowance).await);
    bench.pass(still).await;

    assert!(wait <= PERIOD && wait > PERIOD / 2, "{wait:?}");
    assert!(still <= wait / 2 + Duration::from_millis(1) && still >= Duration::from_millis(1), "{wait:?}, {still:?}");
    assert_eq!(enter(&bench, "b", 100, &allowance).await, Ok(()));
    retry_after(claim(&bench, "c", 1, &allowance).await);
}

pub(super) async fn what_no_period_has_room_for_waits_a_whole_one(bench: Bench) {
    let wait = Duration::from_hours(1);

    assert_eq!(retry_after(claim(&bench, "a", 101, &per(LONG)).await), wait);
    assert_eq!(retry_after(enter(&bench, "a", u64::MAX, &per(LONG)).await), wait);
    claim(&bench, "a", 60, &per(LONG)).await.unwrap();
    assert_eq!(retry_after(claim(&bench, "b", 41, &per(LONG)).await), wait);
    assert_eq!(claim(&bench, "b", 40, &per(LONG)).await, Ok(()));
}

pub(super) async fn striking_gives_nothing_of_the_period_back(bench: Bench) {
    enter(&bench, "a", 100, &per(LONG)).await.unwrap();

    bench.strike("account", "a").await.unwrap();

    let wait = retry_after(enter(&bench, "b", 1, &per(LONG)).await);
    assert!(wait <= LONG && wait > Duration::from_mins(50), "{wait:?}");
}

pub(super) async fn giving_a_claim_up_gives_its_part_of_the_period_back(bench: Bench) {
    claim(&bench, "a", 100, &per(LONG)).await.unwrap();
    retry_after(claim(&bench, "b", 1, &per(LONG)).await);

    bench.unclaim("account", "a").await.unwrap();

    assert_eq!(claim(&bench, "b", 100, &per(LONG)).await, Ok(()));
}

pub(super) async fn a_rebuilt_ledger_does_not_spend_the_period_on_what_is_old(bench: Bench) {
    let old = 1_000_000_000_000;
    for n in 0..5 {
        let entered = bench.enter("account", &entry(&n.to_string(), 100, old + n), None, &per(LONG)).await.unwrap();
        assert_eq!(entered, Ok(()));
    }

    assert_eq!(held(&bench).await, (500, 5));
    assert_eq!(enter(&bench, "new", 100, &per(LONG)).await, Ok(()));
    retry_after(enter(&bench, "newer", 1, &per(LONG)).await);
}

pub(super) async fn a_period_counts_from_when_it_is_set(bench: Bench) {
    enter(&bench, "before", 100, &UNLIMITED).await.unwrap();
    enter(&bench, "a", 60, &per(LONG)).await.unwrap();
    enter(&bench, "without", 100, &UNLIMITED).await.unwrap();

    retry_after(enter(&bench, "b", 41, &per(LONG)).await);
    assert_eq!(enter(&bench, "b", 40, &per(LONG)).await, Ok(()));
}

pub(super) async fn entries_come_by_time_in_pages(bench: Bench) {
    let written = [("c", 2, 20), ("a", 1, 30), ("B", 3, 20), ("d", 0, 1_764_000_000_123), ("e", 5, 10)];
    for (member, bytes, at) in written {
        bench.enter("account", &entry(member, bytes, at), None, &UNLIMITED).await.unwrap().unwrap();
    }

    assert_eq!(members(&bench, false, 0, 100).await, ["e", "B", "c", "a", "d"]);
    assert_eq!(members(&bench, true, 0, usize::MAX).await, ["d", "a", "c", "B", "e"]);
    assert_eq!(members(&bench, true, 1, 2).await, ["a", "c"]);
    assert_eq!(members(&bench, false, 3, 2).await, ["a", "d"]);
    assert_eq!(members(&bench, false, 4, 2).await, ["d"]);
    assert!(members(&bench, true, 5, 2).await.is_empty());
    assert!(members(&bench, false, 5, 2).await.is_empty());
    assert!(members(&bench, true, usize::MAX, usize::MAX).await.is_empty());
    assert!(members(&bench, true, 0, 0).await.is_empty());
    let newest = bench.entries("account", true, 0, 2).await.unwrap();
    assert_eq!(newest, [entry("d", 0, 1_764_000_000_123), entry("a", 1, 30)]);
}

pub(super) async fn an_entry_moves_to_its_new_time(bench: Bench) {
    for (member, at) in [("a", 10), ("b", 20), ("a", 30)] {
        bench.enter("account", &entry(member, 1, at), None, &UNLIMITED).await.unwrap().unwrap();
    }

    assert_eq!(members(&bench, false, 0, 10).await, ["b", "a"]);
}

pub(super) async fn accounts_are_apart(bench: Bench) {
    let accounts = ["@a:example.org", "@a:example.or", "@a:example.org:at", "@a:example.orgs", "@a:example.org\0"];
    for (n, account) in (1..).zip(accounts) {
        bench.claim(account, "claim", 40, LONG, &A_HUNDRED).await.unwrap().unwrap();
        bench.enter(account, &entry("a", 60 - n, n), None, &A_HUNDRED).await.unwrap().unwrap();
    }

    bench.strike(accounts[1], "a").await.unwrap();
    bench.unclaim(accounts[1], "claim").await.unwrap();

    for (n, account) in (1..).zip(accounts).filter(|(n, _)| *n != 2) {
        assert_eq!(bench.entries(account, true, 0, 10).await.unwrap(), [entry("a", 60 - n, n)]);
        assert_eq!(bench.holdings(account).await.unwrap(), Holdings { bytes: 60 - n, files: 1 });
        let refused = bench.claim(account, "another", n + 1, LONG, &A_HUNDRED).await.unwrap();
        assert_eq!(refused, Err(Exceeded::Bytes));
    }
    assert_eq!(bench.holdings(accounts[1]).await.unwrap(), Holdings::default());
    assert_eq!(bench.claim(accounts[1], "another", 100, LONG, &A_HUNDRED).await.unwrap(), Ok(()));
}

pub(super) async fn odd_names_are_taken_as_they_are(bench: Bench) {
    let odd = ["", " ", "a\0b", "*", "é{x}", "}", "{", "{}", "line\r\nbreak", "bytes", "files", "c:", "s:1", "%d"];
    for name in odd {
        bench.claim(name, name, 100, LONG, &A_HUNDRED).await.unwrap().unwrap();
        assert_eq!(bench.claim(name, "another", 1, LONG, &A_HUNDRED).await.unwrap(), Err(Exceeded::Bytes));
        bench.enter(name, &entry(name, 10, 1), Some(name), &A_HUNDRED).await.unwrap().unwrap();
        bench.claim(name, name, 90, LONG, &A_HUNDRED).await.unwrap().unwrap();
        bench.unclaim(name, name).await.unwrap();
    }

    for name in odd {
        assert_eq!(bench.entries(name, true, 0, 10).await.unwrap(), [entry(name, 10, 1)]);
        bench.strike(name, name).await.unwrap();
        assert_eq!(bench.holdings(name).await.unwrap(), Holdings::default());
    }
}

pub(super) async fn an_allowance_of_nothing_refuses_all(bench: Bench) {
    assert_eq!(claim(&bench, "a", 0, &files(0)).await, Err(Exceeded::Files));
    assert_eq!(enter(&bench, "a", 0, &files(0)).await, Err(Exceeded::Files));

    let no_bytes = Allowance { most_bytes: Some(0), ..UNLIMITED };
    assert_eq!(claim(&bench, "a", 1, &no_bytes).await, Err(Exceeded::Bytes));
    assert_eq!(enter(&bench, "a", 1, &no_bytes).await, Err(Exceeded::Bytes));
    assert_eq!(claim(&bench, "empty", 0, &no_bytes).await, Ok(()));

    let nothing_per_hour = Allowance { most_bytes_per_period: Some((0, LONG)), ..UNLIMITED };
    assert_eq!(retry_after(claim(&bench, "a", 1, &nothing_per_hour).await), LONG);
    assert_eq!(retry_after(enter(&bench, "a", 1, &nothing_per_hour).await), LONG);
    assert_eq!(held(&bench).await, (0, 0));
}

pub(super) async fn without_limits_all_is_admitted(bench: Bench) {
    let large = 1 << 52;

    for name in ["a", "b"] {
        claim(&bench, name, large, &UNLIMITED).await.unwrap();
    }
    bench.enter("account", &entry("a", large - 1, NOW), Some("a"), &UNLIMITED).await.unwrap().unwrap();
    bench.enter("account", &entry("b", large, u64::MAX), Some("b"), &Allowance::default()).await.unwrap().unwrap();

    assert_eq!(held(&bench).await, ((1 << 53) - 1, 2));
    bench.strike("account", "b").await.unwrap();
    assert_eq!(held(&bench).await, (large - 1, 1));
}

pub(super) async fn nothing_is_held_by_those_we_do_not_know(bench: Bench) {
    assert_eq!(held(&bench).await, (0, 0));
    assert!(members(&bench, true, 0, 10).await.is_empty());
}

/// Whether its caller waited for it or not.
pub(super) async fn what_was_entered_last_is_read_and_counted(bench: Bench) {
    for round in 0..30 {
        enter(&bench, "a", 60, &UNLIMITED).await.unwrap();
        enter(&bench, "b", 40, &UNLIMITED).await.unwrap();
        assert_eq!(enter(&bench, "c", 1, &A_HUNDRED).await, Err(Exceeded::Bytes), "{round}");
        bench.strike("account", "b").await.unwrap();
        assert_eq!(claim(&bench, "claim", 40, &A_HUNDRED).await, Ok(()));
        assert_eq!(enter(&bench, "c", 1, &A_HUNDRED).await, Err(Exceeded::Bytes));
        bench.unclaim("account", "claim").await.unwrap();
        assert_eq!(enter(&bench, "c", 40, &A_HUNDRED).await, Ok(()));
        bench.strike("account", "a").await.unwrap();

        assert_eq!((held(&bench).await, members(&bench, true, 0, 10).await), ((40, 1), vec!["c".to_owned()]));
        bench.enter_all("account", &[entry("c", 50, NOW)]).await.unwrap();
        assert_eq!(held(&bench).await, (50, 1));
        bench.strike("account", "c").await.unwrap();
    }
}
