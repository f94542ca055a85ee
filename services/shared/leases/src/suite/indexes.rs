//! What indexes must do.

use super::bench::Bench;

async fn fill(bench: &Bench, index: &str, members: &[(&str, u64)]) {
    for (member, score) in members {
        bench.insert(index, member, *score).await.unwrap();
    }
}

async fn members(bench: &Bench, index: &str, up_to: u64, limit: usize) -> Vec<(String, u64)> {
    let entries = bench.range(index, up_to, limit).await.unwrap();
    entries.into_iter().map(|entry| (entry.member, entry.score)).collect()
}

fn owned(members: &[(&str, u64)]) -> Vec<(String, u64)> {
    members.iter().map(|(member, score)| ((*member).to_owned(), *score)).collect()
}

pub(super) async fn members_come_by_score_then_by_name(bench: Bench) {
    let now = 1_764_000_000_123;
    fill(&bench, "index", &[("later", now + 1), ("b", now), ("a", now), ("B", now), ("first", 0)]).await;

    let all = members(&bench, "index", u64::MAX, usize::MAX).await;

    assert_eq!(all, owned(&[("first", 0), ("B", now), ("a", now), ("b", now), ("later", now + 1)]));
}

pub(super) async fn a_range_ends_at_its_score_and_its_limit(bench: Bench) {
    fill(&bench, "index", &[("a", 1), ("b", 2), ("c", 3), ("d", 4)]).await;

    assert_eq!(members(&bench, "index", 3, 100).await, owned(&[("a", 1), ("b", 2), ("c", 3)]));
    assert_eq!(members(&bench, "index", 3, 2).await, owned(&[("a", 1), ("b", 2)]));
    assert_eq!(members(&bench, "index", 0, 100).await, []);
    assert_eq!(members(&bench, "index", 3, 0).await, []);
    assert_eq!(members(&bench, "no such index", 3, 100).await, []);
}

pub(super) async fn a_member_is_listed_once_and_moves(bench: Bench) {
    fill(&bench, "index", &[("a", 1), ("b", 2), ("a", 3), ("b", 2)]).await;

    assert_eq!(members(&bench, "index", 100, 100).await, owned(&[("b", 2), ("a", 3)]));
}

pub(super) async fn a_removed_member_is_gone(bench: Bench) {
    fill(&bench, "index", &[("a", 1), ("b", 2)]).await;

    bench.remove("index", "a").await.unwrap();
    bench.remove("index", "never there").await.unwrap();
    bench.remove("no such index", "a").await.unwrap();

    assert_eq!(members(&bench, "index", 100, 100).await, owned(&[("b", 2)]));
}

pub(super) async fn indexes_are_apart(bench: Bench) {
    fill(&bench, "one", &[("a", 1), ("b", 2)]).await;
    fill(&bench, "one:more", &[("a", 3)]).await;
    fill(&bench, "ond", &[("a", 4)]).await;

    bench.remove("one:more", "b").await.unwrap();
    let refused = bench.insert_within("one", "c", 1, 0, 2).await.unwrap();
    let listed = bench.insert_within("ond", "c", 5, 0, 2).await.unwrap();

    assert_eq!((refused, listed), (false, true));
    assert_eq!(members(&bench, "one", 100, 100).await, owned(&[("a", 1), ("b", 2)]));
    assert_eq!(members(&bench, "one:more", 100, 100).await, owned(&[("a", 3)]));
    assert_eq!(members(&bench, "ond", 100, 100).await, owned(&[("a", 4), ("c", 5)]));
}

pub(super) async fn callers_at_once_never_exceed_the_most(bench: Bench) {
    let listed = bench
        .at_once(50, |state, caller| async move {
            state.insert_within("index", &caller.to_string(), 100, 50, 7).await.unwrap()
        })
        .await;

    assert_eq!(listed.into_iter().filter(|listed| *listed).count(), 7);
    assert_eq!(members(&bench, "index", 100, 100).await.len(), 7);
}

pub(super) async fn members_that_are_dead_make_room(bench: Bench) {
    fill(&bench, "index", &[("dead", 49), ("also dead", 0), ("alive", 50)]).await;

    let first = bench.insert_within("index", "new", 100, 50, 2).await.unwrap();
    let second = bench.insert_within("index", "newer", 101, 50, 2).await.unwrap();
    let removed_though_refused = bench.insert_within("index", "newest", 102, 51, 1).await.unwrap();

    assert_eq!((first, second, removed_though_refused), (true, false, false));
    assert_eq!(members(&bench, "index", 1000, 100).await, owned(&[("new", 100)]));
}

pub(super) async fn a_member_does_not_count_against_itself(bench: Bench) {
    fill(&bench, "index", &[("a", 1), ("b", 2)]).await;

    let moved = bench.insert_within("index", "a", 3, 0, 2).await.unwrap();
    let refused = bench.insert_within("index", "a", 4, 0, 1).await.unwrap();
    let none_allowed = bench.insert_within("empty", "a", 4, 0, 0).await.unwrap();

    assert_eq!((moved, refused, none_allowed), (true, false, false));
    assert_eq!(members(&bench, "index", 100, 100).await, owned(&[("b", 2), ("a", 3)]));
}

pub(super) async fn names_are_taken_as_they_are(bench: Bench) {
    let odd = ["", " ", "a\0b", "*", "é{x}", "line\r\nbreak"];
    for name in odd {
        bench.insert(name, name, 1).await.unwrap();
    }

    for name in odd {
        assert_eq!(members(&bench, name, 1, 10).await, owned(&[(name, 1)]));
    }
}

/// Callers at once, while members are added, removed and die.
pub(super) async fn whoever_comes_and_goes_the_most_is_not_exceeded(bench: Bench) {
    for round in 0..8_u64 {
        let listed = bench
            .at_once(30, |state, caller| async move {
                let member = format!("{round} {caller}");
                if caller % 10 == 0 {
                    state.insert("index", &member, 100 + round).await.unwrap();
                    state.remove("index", &member).await.unwrap();
                }
                let listed = state.insert_within("index", &member, 100 + round, 98 + round, 12).await.unwrap();
                if listed && caller % 7 == 0 {
                    state.remove("index", &member).await.unwrap();
                }
                (member, listed && caller % 7 != 0)
            })
            .await;

        let left = members(&bench, "index", 1000, 1000).await;
        assert!(left.len() <= 12, "{left:?}");
        let mine = left.iter().filter(|(_, score)| *score == 100 + round);
        let mut mine: Vec<&str> = mine.map(|(member, _)| member.as_str()).collect();
        let mut told: Vec<&str> =
            listed.iter().filter(|(_, stays)| *stays).map(|(member, _)| member.as_str()).collect();
        mine.sort_unstable();
        told.sort_unstable();
        assert_eq!(mine, told);
    }
}

pub(super) async fn what_was_written_last_is_read_and_counted(bench: Bench) {
    for round in 0..50_u64 {
        bench.insert("index", "a", round).await.unwrap();
        bench.insert("index", "b", round + 1).await.unwrap();
        bench.remove("index", "a").await.unwrap();

        assert_eq!(members(&bench, "index", 1000, 10).await, owned(&[("b", round + 1)]));

        bench.insert("index", "a", round).await.unwrap();
        assert!(!bench.insert_within("index", "c", round, 0, 2).await.unwrap());
        bench.remove("index", "b").await.unwrap();
        assert!(bench.insert_within("index", "b", round, 0, 2).await.unwrap());
        assert!(!bench.insert_within("index", "c", round, 0, 2).await.unwrap());
    }
}
