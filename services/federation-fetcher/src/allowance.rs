//! How many bytes an origin may still send: a bucket that fills again over a period. Pure.
//!
//! How large a medium is shows only when it has come, so the bucket may be overdrawn by what
//! is on its way; that is paid back before anything else is asked for.

use std::time::Duration;

use heliograph_types::Timestamp;

/// One origin's bucket.
#[derive(Debug)]
pub(crate) struct Allowance {
    most_bytes: u64,
    period: Duration,
    /// What was missing from a full bucket at `at`.
    owed_bytes: u64,
    at: Timestamp,
}

impl Allowance {
    /// A full bucket of `most_bytes`, which fills within `period` when it is empty.
    pub(crate) fn new(most_bytes: u64, period: Duration) -> Self {
        Self { most_bytes, period, owed_bytes: 0, at: Timestamp::default() }
    }

    /// These bytes have come.
    pub(crate) fn take(&mut self, bytes: u64, now: Timestamp) {
        self.owed_bytes = self.owed_bytes(now).saturating_add(bytes);
        self.at = now;
    }

    /// How long until there is anything in it; zero if there is.
    pub(crate) fn wait(&self, now: Timestamp) -> Duration {
        let Some(beyond) = self.owed_bytes(now).checked_sub(self.most_bytes) else { return Duration::ZERO };
        let millis = u128::from(beyond).saturating_add(1).saturating_mul(self.period.as_millis());
        let millis = millis.div_ceil(u128::from(self.most_bytes).max(1));
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// Whether it is as good as new.
    pub(crate) fn is_full(&self, now: Timestamp) -> bool {
        self.owed_bytes(now) == 0
    }

    fn owed_bytes(&self, now: Timestamp) -> u64 {
        let filled = u128::from(self.most_bytes) * now.since(self.at).as_millis() / self.period.as_millis().max(1);
        self.owed_bytes.saturating_sub(u64::try_from(filled).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_bucket_gives_what_is_in_it_and_fills_evenly() {
        let mut bucket = Allowance::new(600, MINUTE);
        assert!(bucket.wait(NOW).is_zero() && bucket.is_full(NOW));

        bucket.take(599, NOW);
        assert!(bucket.wait(NOW).is_zero() && !bucket.is_full(NOW), "one byte is left");
        bucket.take(1, NOW);

        assert_eq!(bucket.wait(NOW), Duration::from_millis(100));
        assert!(bucket.wait(NOW + Duration::from_millis(100)).is_zero());
        assert!(!bucket.is_full(NOW + MINUTE - Duration::from_millis(1)) && bucket.is_full(NOW + MINUTE));
    }

    #[test]
    fn what_came_beyond_it_is_paid_back_first() {
        let mut bucket = Allowance::new(600, MINUTE);
        bucket.take(1800, NOW);

        assert_eq!(bucket.wait(NOW), 2 * MINUTE + Duration::from_millis(100));
    }

    #[test]
    fn an_empty_allowance_is_none_at_all() {
        let bucket = Allowance::new(0, MINUTE);

        assert_eq!(bucket.wait(NOW), MINUTE);
    }

    proptest! {
        /// Nobody gets more than the bucket and what has filled it since, but for the last piece.
        #[test]
        fn no_more_comes_than_is_allowed(steps in proptest::collection::vec((0_u64..5000, 0_u64..3000), 1..50)) {
            let mut bucket = Allowance::new(1000, MINUTE);
            let (mut now, mut taken, mut last) = (NOW, 0, 0);
            for (bytes, pause) in steps {
                now = now + Duration::from_millis(pause);
                if bucket.wait(now).is_zero() {
                    bucket.take(bytes, now);
                    (taken, last) = (taken + bytes, bytes);
                } else {
                    let later = now + bucket.wait(now);
                    prop_assert!(bucket.wait(later).is_zero(), "what is told is enough");
                }
                let filled = 1000 * (now.as_millis() - NOW.as_millis()) / 60_000;
                prop_assert!(taken <= 1000 + filled + last);
            }
        }
    }
}
