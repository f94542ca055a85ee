//! How many members an index has at most, so that most of those that are added need not wait for
//! a transaction to hear that there is room.
//!
//! # Invariants
//! When a write has its turn, its index has no more members than were counted, and than have been
//! added before it since.

use std::{collections::HashMap, mem};

/// Indexes that are known, about 150 bytes each; beyond it those go of which nothing waits, and are
/// counted anew when they are needed.
const MOST_INDEXES: usize = 10_000;

/// How many members the indexes of a transaction have, as far as that is known. Exact, within it.
pub(super) type Counts = HashMap<String, u64>;

/// What a write does to its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// It may add one member.
    Adds,
    /// It may add one member, and may have to know how many there are.
    AddsWithin,
    /// It may take members away.
    Removes,
}

/// The indexes whose members were counted, or are about to be.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    indexes: HashMap<String, Bound>,
    /// Those that what waits is about.
    touched: Vec<String>,
}

#[derive(Debug, Default)]
struct Bound {
    /// After the last transaction, exactly; `None` if nobody has counted.
    counted: Option<u64>,
    /// Those that the transaction which runs may add.
    being_added: u64,
    /// Those that what waits may add.
    to_be_added: u64,
    is_touched: bool,
}

impl Bounds {
    /// Whether an index has surely fewer than `most` members when all has its turn that waits.
    pub(super) fn has_room(&self, index: &str, most: u64) -> bool {
        let bound = self.indexes.get(index);
        let at_most = bound.and_then(|bound| Some(bound.counted? + bound.being_added + bound.to_be_added));
        at_most.is_some_and(|at_most| at_most < most)
    }

    /// A write waits now.
    pub(super) fn note(&mut self, index: &str, touch: Touch) {
        if touch == Touch::AddsWithin && !self.indexes.contains_key(index) {
            self.indexes.insert(index.to_owned(), Bound::default());
        }
        // What nobody counts need not be followed.
        let Some(bound) = self.indexes.get_mut(index) else { return };
        bound.to_be_added += u64::from(touch != Touch::Removes);
        if !mem::replace(&mut bound.is_touched, true) {
            self.touched.push(index.to_owned());
        }
    }

    /// All that waits has its turn now: what is known of its indexes, and their names.
    pub(super) fn begin(&mut self) -> (Counts, Vec<String>) {
        let touched = mem::take(&mut self.touched);
        let mut counts = Counts::new();
        for index in &touched {
            let Some(bound) = self.indexes.get_mut(index) else { continue };
            bound.being_added = mem::take(&mut bound.to_be_added);
            bound.is_touched = false;
            if let Some(counted) = bound.counted {
                counts.insert(index.clone(), counted);
            }
        }
        (counts, touched)
    }

    /// The transaction is over. Of one that failed nothing is known: its indexes are counted anew.
    pub(super) fn end(&mut self, touched: &[String], counts: Option<&Counts>) {
        for index in touched {
            if let Some(bound) = self.indexes.get_mut(index) {
                bound.being_added = 0;
                bound.counted = counts.and_then(|counts| counts.get(index).copied());
            }
        }
        if self.indexes.len() > MOST_INDEXES {
            self.indexes.retain(|_, bound| bound.is_touched);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(members: u64) -> Bounds {
        let mut bounds = Bounds::default();
        bounds.note("index", Touch::AddsWithin);
        let (_, touched) = bounds.begin();
        bounds.end(&touched, Some(&Counts::from([("index".to_owned(), members)])));
        bounds
    }

    #[test]
    fn what_nobody_has_counted_has_no_room_that_is_sure() {
        let mut bounds = Bounds::default();
        bounds.note("index", Touch::AddsWithin);
        bounds.note("another", Touch::Adds);

        assert!(!bounds.has_room("index", u64::MAX));
        assert!(!bounds.has_room("another", u64::MAX));
        assert_eq!(bounds.begin(), (Counts::new(), vec!["index".to_owned()]));
    }

    #[test]
    fn all_that_may_be_added_before_counts() {
        let mut bounds = counted(3);
        assert!(bounds.has_room("index", 4) && !bounds.has_room("index", 3));

        bounds.note("index", Touch::AddsWithin);
        bounds.note("index", Touch::Removes);
        let (counts, touched) = bounds.begin();
        bounds.note("index", Touch::Adds);

        assert_eq!(counts["index"], 3);
        assert!(bounds.has_room("index", 6) && !bounds.has_room("index", 5));
        bounds.end(&touched, Some(&Counts::from([("index".to_owned(), 1)])));
        assert!(bounds.has_room("index", 3) && !bounds.has_room("index", 2));
    }

    #[test]
    fn after_a_failure_it_is_counted_anew() {
        let mut bounds = counted(3);
        bounds.note("index", Touch::Adds);
        let (_, touched) = bounds.begin();

        bounds.end(&touched, None);

        assert!(!bounds.has_room("index", u64::MAX));
    }

    #[test]
    fn of_too_many_indexes_those_stay_of_which_something_waits() {
        let mut bounds = counted(3);
        for number in 0..MOST_INDEXES {
            bounds.note(&number.to_string(), Touch::AddsWithin);
        }
        let (_, touched) = bounds.begin();
        bounds.note("7", Touch::AddsWithin);

        bounds.end(&touched, Some(&touched.iter().map(|index| (index.clone(), 1)).collect()));

        assert!(bounds.has_room("7", 3) && !bounds.has_room("7", 2));
        assert!(!bounds.has_room("index", u64::MAX) && !bounds.has_room("8", u64::MAX));
        assert_eq!(bounds.indexes.len(), 1);
    }
}
