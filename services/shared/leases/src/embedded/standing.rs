//! How an account stands, and whether it may have more: arithmetic without any table. The scripts
//! of Redis do the same.

use std::time::Duration;

use heliograph_types::Timestamp;

use crate::{Allowance, Exceeded, Holdings, LedgerEntry, ledger::slot_millis};

/// What counts against an account.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// What is entered.
    pub(super) held: Holdings,
    /// What is set aside.
    pub(super) claimed: Holdings,
    /// What was spent of the period.
    pub(super) slots: Vec<Slot>,
}

/// The bytes that were entered from `start` on, until the next slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) start: u64,
    pub(super) bytes: u64,
}

impl Standing {
    /// Whether there is room for that many bytes in one file more.
    pub(super) fn admit(&self, bytes: u64, allowance: &Allowance, now: Timestamp) -> Result<(), Exceeded> {
        let bytes_then = self.held.bytes.saturating_add(self.claimed.bytes).saturating_add(bytes);
        let files_then = self.held.files.saturating_add(self.claimed.files).saturating_add(1);
        if allowance.most_bytes.is_some_and(|most| bytes_then > most) {
            return Err(Exceeded::Bytes);
        }
        if allowance.most_files.is_some_and(|most| files_then > most) {
            return Err(Exceeded::Files);
        }
        let Some((most, period)) = allowance.most_bytes_per_period else { return Ok(()) };
        self.admit_within(Period::new(period), bytes, most, now)
    }

    fn admit_within(&self, period: Period, bytes: u64, most: u64, now: Timestamp) -> Result<(), Exceeded> {
        let mut slots: Vec<Slot> = self.slots.iter().filter(|slot| !period.is_over(slot.start, now)).copied().collect();
        slots.sort_unstable_by_key(|slot| slot.start);
        let mut then =
            slots.iter().map(|slot| slot.bytes).fold(self.claimed.bytes.saturating_add(bytes), u64::saturating_add);
        if then <= most {
            return Ok(());
        }
        let frees_enough = slots.into_iter().find(|slot| {
            then = then.saturating_sub(slot.bytes);
            then <= most
        });
        let wait = frees_enough.map_or(period.0, |slot| period.until_over(slot.start, now));
        Err(Exceeded::Period { retry_after: Duration::from_millis(wait) })
    }
}

/// The limits that an entry is held to, which replaces one of `earlier` bytes.
pub(super) fn limits_for(
    entry: &LedgerEntry,
    earlier: Option<u64>,
    allowance: &Allowance,
    now: Timestamp,
) -> Allowance {
    match earlier {
        Some(earlier) if entry.bytes <= earlier => Allowance::default(),
        Some(_) => Allowance { most_bytes: allowance.most_bytes, ..Allowance::default() },
        None => {
            let counts = |(_, period): &(u64, Duration)| Period::new(*period).slot_of(entry.at, now).is_some();
            Allowance { most_bytes_per_period: allowance.most_bytes_per_period.filter(counts), ..*allowance }
        }
    }
}

/// A span that ends now, in ms; never 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period(u64);

impl Period {
    pub(super) fn new(span: Duration) -> Self {
        Self(u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1))
    }

    /// The start of the slot that what was entered at `at` counts into; `None` if that is over.
    pub(super) fn slot_of(self, at: u64, now: Timestamp) -> Option<u64> {
        let at = at.min(now.as_millis());
        let start = at - at % slot_millis(self.0);
        (!self.is_over(start, now)).then_some(start)
    }

    /// Whether the slot that begins at `start` has left the period.
    pub(super) fn is_over(self, start: u64, now: Timestamp) -> bool {
        start.saturating_add(self.0) <= now.as_millis()
    }

    /// How long until the slot leaves the period, which it has not. No longer than the period, even
    /// if the clock was set back.
    fn until_over(self, start: u64, now: Timestamp) -> u64 {
        start.saturating_add(self.0).saturating_sub(now.as_millis()).clamp(1, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// Of 3,200 ms: slots of 100 ms.
    const PERIOD: Duration = Duration::from_millis(3200);

    fn spent(slots: &[(u64, u64)]) -> Standing {
        let slots = slots.iter().map(|&(age, bytes)| Slot { start: NOW.as_millis() - age, bytes }).collect();
        Standing { slots, ..Standing::default() }
    }

    fn wait(standing: &Standing, bytes: u64) -> Option<u64> {
        let allowance = Allowance { most_bytes_per_period: Some((100, PERIOD)), ..Allowance::default() };
        match standing.admit(bytes, &allowance, NOW) {
            Ok(()) => None,
            Err(Exceeded::Period { retry_after }) => Some(u64::try_from(retry_after.as_millis()).unwrap()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_wait_is_until_enough_of_the_oldest_slots_have_left() {
        let standing = spent(&[(100, 20), (3000, 30), (1000, 50)]);

        assert_eq!(wait(&standing, 0), None);
        assert_eq!(wait(&standing, 1), Some(200));
        assert_eq!(wait(&standing, 30), Some(200));
        assert_eq!(wait(&standing, 31), Some(2200));
        assert_eq!(wait(&standing, 80), Some(2200));
        assert_eq!(wait(&standing, 100), Some(3100));
    }

    #[test]
    fn the_wait_is_the_period_if_no_slot_that_leaves_is_enough() {
        let mut standing = spent(&[(3000, 30)]);
        assert_eq!(wait(&standing, 101), Some(3200));

        standing.claimed.bytes = 80;
        assert_eq!(wait(&standing, 20), Some(200));
        assert_eq!(wait(&standing, 21), Some(3200));
    }

    #[test]
    fn slots_that_have_left_count_for_nothing() {
        assert_eq!(wait(&spent(&[(3200, 100), (9000, 100)]), 100), None);
        assert_eq!(wait(&spent(&[(3199, 1)]), 100), Some(1));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_wait_longer_than_the_period() {
        let mut standing = spent(&[]);
        standing.slots.push(Slot { start: NOW.as_millis() + 50_000, bytes: 1 });

        assert_eq!(wait(&standing, 100), Some(3200));
    }

    #[test]
    fn an_entry_counts_at_its_own_time() {
        let slot_of = |period, at| Period::new(period).slot_of(at, NOW).map(|start| NOW.as_millis() - start);
        let now = NOW.as_millis();

        assert_eq!(slot_of(PERIOD, now), Some(0));
        assert_eq!(slot_of(PERIOD, now + 5000), Some(0));
        assert_eq!(slot_of(PERIOD, now - 1), Some(100));
        assert_eq!(slot_of(PERIOD, now - 3100), Some(3100));
        assert_eq!(slot_of(PERIOD, now - 3101), None);
        assert_eq!(slot_of(PERIOD, 0), None);
    }

    #[test]
    fn the_shortest_and_the_longest_period_work() {
        let now = Timestamp::from_millis(5);

        for period in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(31), Duration::MAX] {
            let period = Period::new(period);
            let start = period.slot_of(5, now).unwrap();
            assert!(start <= 5 && (1..=period.0).contains(&period.until_over(start, now)), "{period:?}");
        }
    }

    #[test]
    fn sums_that_are_too_large_are_over_every_limit() {
        let standing =
            Standing { held: Holdings { bytes: u64::MAX, files: 1 }, claimed: Holdings::default(), slots: vec![] };
        let allowance = Allowance { most_bytes: Some(u64::MAX - 1), ..Allowance::default() };

        assert_eq!(standing.admit(u64::MAX, &allowance, NOW), Err(Exceeded::Bytes));
    }
}
