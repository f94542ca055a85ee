//! Any sequence of entries gives what a plain list gives, and stretches that keep what they promise.

use std::collections::BTreeMap;

use proptest::prelude::*;
use redb::{Database, ReadableDatabase, backends::InMemoryBackend};

use super::{
    ledger_stretches::{MOST, read_stretches},
    ledger_tables::{LedgerTables, read_entries},
};
use crate::LedgerEntry;

const ACCOUNTS: [&str; 3] = ["@a:example.org", "@a:example.org\0", "@a:example.or"];

#[derive(Debug, Clone)]
enum Change {
    /// So many members from this one on, all at one time or each at the next.
    Enter {
        account: usize,
        first: u16,
        many: u16,
        at: u64,
        apart: u64,
    },
    Strike {
        account: usize,
        first: u16,
        many: u16,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let (account, first, many) = (0..ACCOUNTS.len(), 0..1500_u16, 1..600_u16);
    prop_oneof![
        3 => (account.clone(), first.clone(), many.clone(), 0..2000_u64, 0..3_u64)
            .prop_map(|(account, first, many, at, apart)| Change::Enter { account, first, many, at, apart }),
        2 => (account, first, many).prop_map(|(account, first, many)| Change::Strike { account, first, many }),
    ]
}

#[derive(Default)]
struct Model([BTreeMap<String, u64>; 3]);

impl Model {
    fn page(&self, account: usize, newest_first: bool, from: usize, limit: usize) -> Vec<LedgerEntry> {
        let mut all: Vec<_> = self.0[account].iter().map(|(member, at)| (*at, member.clone())).collect();
        all.sort();
        if newest_first {
            all.reverse();
        }
        let entry = |(at, member)| LedgerEntry { member, bytes: 1, at };
        all.into_iter().skip(from).take(limit).map(entry).collect()
    }
}

fn members(first: u16, many: u16) -> impl Iterator<Item = (u64, String)> {
    (0..many).map(move |n| (u64::from(n), format!("member {:05}", first + n)))
}

fn apply(tables: &mut LedgerTables<'_>, model: &mut Model, change: &Change) {
    match *change {
        Change::Enter { account, first, many, at, apart } => {
            for (n, member) in members(first, many) {
                let at = at + n * apart;
                let entry = LedgerEntry { member: member.clone(), bytes: 1, at };
                tables.enter(ACCOUNTS[account], &entry).unwrap();
                model.0[account].insert(member, at);
            }
        }
        Change::Strike { account, first, many } => {
            for (_, member) in members(first, many) {
                tables.strike(ACCOUNTS[account], &member).unwrap();
                model.0[account].remove(&member);
            }
        }
    }
}

fn check(changes: &[Change], pages: &[(usize, usize)]) {
    let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
    let mut model = Model::default();
    for change in changes {
        let transaction = database.begin_write().unwrap();
        apply(&mut LedgerTables::open(&transaction).unwrap(), &mut model, change);
        transaction.commit().unwrap();

        let transaction = database.begin_read().unwrap();
        for (number, account) in ACCOUNTS.into_iter().enumerate() {
            let stretches = read_stretches(&transaction, account).unwrap();
            assert_eq!(stretches.iter().sum::<u64>(), model.0[number].len() as u64);
            assert!(stretches.iter().all(|entries| (1..=MOST).contains(entries)), "{stretches:?}");
            for ((from, limit), newest_first) in pages.iter().flat_map(|page| [(page, true), (page, false)]) {
                let page = read_entries(&transaction, account, newest_first, *from, *limit).unwrap();
                assert_eq!(page, model.page(number, newest_first, *from, *limit), "{from} {limit} {newest_first}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_entries_give_what_a_list_gives(
        changes in prop::collection::vec(change(), 1..10), pages in prop::collection::vec((0..2200_usize, 0..40_usize), 4),
    ) {
        check(&changes, &pages);
    }
}

#[test]
fn of_many_that_come_in_order_and_go_in_order_few_stretches_are_left() {
    let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
    let stretches = |database: &Database| {
        let transaction = database.begin_read().unwrap();
        read_stretches(&transaction, "account").unwrap().len() as u64
    };
    let entry = |at: u64| LedgerEntry { member: format!("{at:06}"), bytes: 1, at };
    let change = |work: &dyn Fn(&mut LedgerTables<'_>)| {
        let transaction = database.begin_write().unwrap();
        work(&mut LedgerTables::open(&transaction).unwrap());
        transaction.commit().unwrap();
    };

    change(&|tables| (0..20_000).for_each(|at| tables.enter("account", &entry(at)).unwrap()));
    let of_all = stretches(&database);
    // One in a hundred stays.
    let gone = |at: &u64| !at.is_multiple_of(100);
    change(&|tables| (0..20_000).filter(gone).for_each(|at| tables.strike("account", &entry(at).member).unwrap()));
    let of_few = stretches(&database);

    assert!(of_all <= 2 * 20_000 / MOST + 1 && of_few <= 200 / (MOST / 16), "{of_all} {of_few}");
}
