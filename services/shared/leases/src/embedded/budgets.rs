//! Budgets in memory: for each key the time at which its bucket will be full again (GCRA).

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use heliograph_types::Timestamp;
use lru::LruCache;

use crate::{Budget, Spent};

/// Keys that are remembered; beyond it the one that was idle for longest is forgotten.
const MOST_KEYS: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// When each bucket will be full, in nanoseconds since 1970. A full bucket is not kept.
pub(super) struct BudgetBook(Mutex<LruCache<String, u128>>);

impl Default for BudgetBook {
    fn default() -> Self {
        // Unbounded at first, so that memory is not taken before it is needed.
        let mut full_at = LruCache::unbounded();
        full_at.resize(MOST_KEYS);
        Self(Mutex::new(full_at))
    }
}

impl BudgetBook {
    pub(super) fn try_spend(&self, key: &str, budget: Budget, amount: u64, now: Timestamp) -> Spent {
        let now = nanos(now);
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sweep(&mut book, now);
        let full_at = book.get(key).copied().unwrap_or(now);
        let (spent, full_at) = spend(budget, amount, full_at, now);
        if full_at > now {
            book.put(key.to_owned(), full_at);
        }
        spent
    }
}

/// Spends from a bucket that will be full at `full_at`; says when it will be full then.
fn spend(budget: Budget, amount: u64, full_at: u128, now: u128) -> (Spent, u128) {
    let (capacity, period) = (u128::from(budget.capacity.max(1)), budget.period.as_nanos());
    let cost = (u128::from(amount).min(capacity) * period).div_ceil(capacity);
    // A budget whose period was shortened does not owe more than the new period.
    let full_at = full_at.clamp(now, now + period);
    let empty_for = (full_at + cost).saturating_sub(now + period);
    if empty_for == 0 {
        (Spent::Yes, full_at + cost)
    } else {
        (Spent::No { retry_after: whole_millis(empty_for) }, full_at)
    }
}

/// Removes the key that was idle for longest, if it is full again. Called at each spending, two
/// at a time, so that idle keys go faster than new ones come.
fn sweep(book: &mut LruCache<String, u128>, now: u128) {
    for _ in 0..2 {
        if book.peek_lru().is_some_and(|(_, full_at)| *full_at <= now) {
            book.pop_lru();
        }
    }
}

fn nanos(at: Timestamp) -> u128 {
    u128::from(at.as_millis()) * 1_000_000
}

/// Rounds up: clocks tell whole milliseconds.
fn whole_millis(nanos: u128) -> Duration {
    Duration::from_millis(u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Budget = Budget { capacity: 60, period: Duration::from_mins(1) };

    #[test]
    fn keys_that_are_full_again_do_not_pile_up() {
        let book = BudgetBook::default();

        for n in 0..10_000 {
            book.try_spend(&n.to_string(), MINUTE, 1, Timestamp::from_millis(n * 100));
        }

        // Each is full again after a second: ten spendings.
        assert!(book.0.lock().unwrap().len() <= 12);
    }

    #[test]
    fn the_number_of_keys_is_bounded_whatever_they_owe() {
        let book = BudgetBook::default();

        for n in 0..MOST_KEYS.get() + 10 {
            book.try_spend(&n.to_string(), MINUTE, 60, Timestamp::from_millis(0));
        }

        assert_eq!(book.0.lock().unwrap().len(), MOST_KEYS.get());
    }

    #[test]
    fn a_shortened_period_forgives_what_was_owed_beyond_it() {
        let book = BudgetBook::default();
        let now = Timestamp::from_millis(0);
        book.try_spend("key", Budget { capacity: 1, period: Duration::from_hours(1) }, 1, now);

        let spent = book.try_spend("key", Budget { capacity: 1, period: Duration::from_secs(1) }, 1, now);

        assert_eq!(spent, Spent::No { retry_after: Duration::from_secs(1) });
    }
}
