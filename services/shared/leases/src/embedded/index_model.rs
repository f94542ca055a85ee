//! Any sequence of calls gives what a plain list gives, whoever waits for it or does not.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use heliograph_types::{ManualClock, Timestamp};
use proptest::prelude::*;

use super::EmbeddedState;
use crate::Indexes;

#[derive(Debug, Clone)]
enum Call {
    Insert {
        member: u8,
        score: u64,
    },
    InsertWithin {
        member: u8,
        score: u64,
        live_from: u64,
        most: u64,
    },
    Remove {
        member: u8,
    },
    Range {
        up_to: u64,
    },
    /// Whatever waits is written, by a read of something else.
    Wait,
}

fn call() -> impl Strategy<Value = Call> {
    let (member, score) = (0..12_u8, 0..20_u64);
    prop_oneof![
        2 => (member.clone(), score.clone()).prop_map(|(member, score)| Call::Insert { member, score }),
        6 => (member.clone(), score.clone(), 0..12_u64, 0..10_u64).prop_map(|(member, score, live_from, most)| {
            Call::InsertWithin { member, score, live_from, most }
        }),
        2 => member.prop_map(|member| Call::Remove { member }),
        1 => score.prop_map(|up_to| Call::Range { up_to }),
        1 => Just(Call::Wait),
    ]
}

#[derive(Default)]
struct Model(BTreeMap<u8, u64>);

impl Model {
    fn insert_within(&mut self, member: u8, score: u64, live_from: u64, most: u64) -> bool {
        self.0.retain(|_, score| *score >= live_from);
        let others = self.0.keys().filter(|present| **present != member).count() as u64;
        let is_listed = others < most;
        if is_listed {
            self.0.insert(member, score);
        }
        is_listed
    }

    fn range(&self, up_to: u64) -> Vec<(u64, String)> {
        let mut members: Vec<_> = self
            .0
            .iter()
            .filter(|(_, score)| **score <= up_to)
            .map(|(member, score)| (*score, name(*member)))
            .collect();
        members.sort();
        members
    }
}

fn name(member: u8) -> String {
    format!("member {member:02}")
}

async fn range(state: &EmbeddedState, up_to: u64) -> Vec<(u64, String)> {
    let entries = state.range("index", up_to, 100).await.unwrap();
    entries.into_iter().map(|entry| (entry.score, entry.member)).collect()
}

async fn check(calls: Vec<Call>) {
    let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
    let (state, mut model) = (EmbeddedState::in_memory(Arc::new(clock)).unwrap(), Model::default());
    for call in &calls {
        match *call {
            Call::Insert { member, score } => {
                state.insert("index", &name(member), score).await.unwrap();
                model.0.insert(member, score);
            }
            Call::InsertWithin { member, score, live_from, most } => {
                let listed = state.insert_within("index", &name(member), score, live_from, most).await.unwrap();
                assert_eq!(listed, model.insert_within(member, score, live_from, most), "{call:?}");
            }
            Call::Remove { member } => {
                state.remove("index", &name(member)).await.unwrap();
                model.0.remove(&member);
            }
            Call::Range { up_to } => assert_eq!(range(&state, up_to).await, model.range(up_to)),
            Call::Wait => assert_eq!(state.range("another index", 1, 1).await.unwrap(), []),
        }
    }
    assert_eq!(range(&state, u64::MAX).await, model.range(u64::MAX));
}

/// Calls of `insert_within` alone, all at once; as many are listed as say so, and never too many.
async fn check_at_once(scores: Vec<u64>, live_from: u64, most: u64) {
    let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
    let state = EmbeddedState::in_memory(Arc::new(clock)).unwrap();
    for (number, score) in scores.iter().enumerate().take(5) {
        state.insert("index", &format!("early {number}"), *score).await.unwrap();
    }
    let calls = scores.iter().enumerate().map(|(number, score)| {
        let (state, score) = (&state, score + live_from);
        async move { state.insert_within("index", &format!("late {number}"), score, live_from, most).await.unwrap() }
    });

    let listed = join_all(calls).await.into_iter().filter(|listed| *listed).count();

    let all = range(&state, u64::MAX).await;
    let late = all.iter().filter(|(_, member)| member.starts_with("late")).count();
    assert_eq!(late, listed);
    assert!(late == 0 || all.len() as u64 <= most, "{all:?}");
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
}

proptest! {
    #[test]
    fn any_calls_give_what_a_list_gives(calls in prop::collection::vec(call(), 1..60)) {
        run(check(calls));
    }

    #[test]
    fn calls_at_once_never_exceed_the_most(
        scores in prop::collection::vec(0..10_u64, 1..40), live_from in 0..10_u64, most in 0..20_u64,
    ) {
        run(check_at_once(scores, live_from, most));
    }
}
