//! Whether an origin sends fast enough. Pure.

use std::time::Duration;

/// How slow it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) bytes_per_second: u64,
    pub(crate) window: Duration,
}

/// What came since the last look.
#[derive(Debug)]
pub(crate) struct Pace {
    floor: Floor,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub(crate) const fn new(floor: Floor) -> Self {
        Self { floor, waited: Duration::ZERO, bytes: 0 }
    }

    /// So many bytes came after a wait of so long; false if that is too slow. Time in which
    /// nobody waited for it does not count: then we are the slow ones.
    pub(crate) fn keeps_up(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited = self.waited.saturating_add(waited);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.waited < self.floor.window {
            return true;
        }
        let least = u128::from(self.floor.bytes_per_second) * self.waited.as_nanos() / 1_000_000_000;
        let keeps_up = u128::from(self.bytes) >= least;
        *self = Self::new(self.floor);
        keeps_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(bytes_per_second: u64) -> Pace {
        Pace::new(Floor { bytes_per_second, window: 10 * SECOND })
    }

    #[test]
    fn a_drip_is_noticed_after_one_window_and_not_before() {
        let mut pace = pace(100);

        let looks: Vec<bool> = (0..10).map(|_| pace.keeps_up(SECOND, 99)).collect();

        assert_eq!(looks, [[true; 9].as_slice(), &[false]].concat());
    }

    #[test]
    fn it_may_pause_if_it_is_fast_enough_on_average() {
        let mut pace = pace(100);

        assert!(pace.keeps_up(9 * SECOND, 1));
        assert!(pace.keeps_up(SECOND, 999), "exactly enough");
        assert!(pace.keeps_up(30 * SECOND, 3000), "a longer wait needs as much more");
        assert!(!pace.keeps_up(30 * SECOND, 2999));
    }

    #[test]
    fn what_was_sent_early_does_not_count_for_ever() {
        let mut pace = pace(100);

        assert!(pace.keeps_up(10 * SECOND, 1 << 30));
        assert!(!pace.keeps_up(10 * SECOND, 10));
    }

    #[test]
    fn without_a_floor_nothing_is_too_slow() {
        assert!(pace(0).keeps_up(Duration::MAX, 0));
    }

    #[test]
    fn time_in_which_nobody_waits_does_not_count() {
        let mut pace = pace(100);

        assert!((0..1000).all(|_| pace.keeps_up(Duration::ZERO, 0)));
    }
}
