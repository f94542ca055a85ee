//! Which job comes next: as many at once as there is memory for, by what they are estimated to cost.
//! Pure: knows neither workers nor time.

use std::collections::VecDeque;

/// So often small jobs pass one that waits for more memory; then all wait for it.
const MOST_PASSES: u32 = 16;

/// Jobs that wait, and the memory that is left.
#[derive(Debug)]
pub(crate) struct Admission<T> {
    free_bytes: u64,
    waiting: VecDeque<Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    ticket: T,
    bytes: u64,
    passed: u32,
}

impl<T> Admission<T> {
    /// With so much memory, and nobody who waits.
    pub(crate) const fn new(bytes: u64) -> Self {
        Self { free_bytes: bytes, waiting: VecDeque::new() }
    }

    /// One more waits, for so much.
    pub(crate) fn join(&mut self, ticket: T, bytes: u64) {
        self.waiting.push_back(Waiting { ticket, bytes, passed: 0 });
    }

    /// Whose turn it is, and the memory that is taken for it. The first who waits, or who fits while that one does not.
    pub(crate) fn next(&mut self) -> Option<(T, u64)> {
        let at = self.waiting.iter().position(|waiting| waiting.bytes <= self.free_bytes)?;
        if at > 0 {
            let first = self.waiting.front_mut().filter(|first| first.passed < MOST_PASSES)?;
            first.passed += 1;
        }
        let Waiting { ticket, bytes, .. } = self.waiting.remove(at)?;
        self.free_bytes -= bytes;
        Some((ticket, bytes))
    }

    /// What was taken is free again.
    pub(crate) const fn give_back(&mut self, bytes: u64) {
        self.free_bytes = self.free_bytes.saturating_add(bytes);
    }

    /// Those of whom this is not true wait no longer.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&T) -> bool) {
        self.waiting.retain(|waiting| is_there(&waiting.ticket));
    }

    /// Nobody waits any longer.
    pub(crate) fn send_away(&mut self) {
        self.waiting.clear();
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn those_who_fit_come_in_their_order() {
        let mut admission = Admission::new(10);
        for ticket in ["a", "b", "c"] {
            admission.join(ticket, 5);
        }

        assert_eq!([admission.next(), admission.next(), admission.next()], [Some(("a", 5)), Some(("b", 5)), None]);
        admission.give_back(5);
        assert_eq!((admission.next(), admission.waiting()), (Some(("c", 5)), 0));
    }

    #[test]
    fn small_ones_pass_a_large_one_but_not_for_ever() {
        let mut admission = Admission::new(10);
        admission.join(0, 5);
        admission.next();
        admission.join(1, 10);
        (2..100).for_each(|ticket| admission.join(ticket, 1));

        let mut passed = 0;
        while let Some((_, bytes)) = admission.next() {
            passed += 1;
            admission.give_back(bytes);
        }
        admission.give_back(5);

        assert_eq!(passed, MOST_PASSES);
        assert_eq!(admission.next(), Some((1, 10)));
    }

    #[test]
    fn who_left_does_not_stand_in_the_way() {
        let mut admission = Admission::new(1);
        admission.join("gone", 1);
        admission.join("here", 1);

        admission.retain(|ticket| *ticket == "here");

        assert_eq!(admission.next(), Some(("here", 1)));
    }

    proptest! {
        #[test]
        fn never_more_than_there_is_and_everybody_comes(costs in prop::collection::vec(0_u64..=100, 0..200)) {
            let mut admission = Admission::new(100);
            let mut running = VecDeque::new();
            let mut came = 0;
            for (ticket, bytes) in costs.iter().enumerate() {
                admission.join(ticket, *bytes);
            }

            while came < costs.len() {
                while let Some((_, bytes)) = admission.next() {
                    came += 1;
                    running.push_back(bytes);
                    prop_assert!(running.iter().sum::<u64>() <= 100);
                }
                admission.give_back(running.pop_front().unwrap());
            }
        }
    }
}
