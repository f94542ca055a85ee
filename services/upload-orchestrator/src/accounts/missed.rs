//! What could not be counted while the shared state was out of reach.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use heliograph_catalog::{MediaRecord, RemoteCopy};
use heliograph_leases::LedgerEntry;
use heliograph_types::{Mxc, UserId};

use super::entry;

/// More are not remembered, about 1 KiB each: then everything is counted anew.
const MOST: usize = 10_000;

/// What is to be counted.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A user has this.
    Now(UserId, LedgerEntry),
    /// A user has it no longer.
    Gone(UserId, Mxc),
    /// There is a copy of remote media.
    Copy(RemoteCopy),
}

impl Change {
    pub(super) fn is_now(user: &UserId, record: &MediaRecord) -> Self {
        Self::Now(user.clone(), entry(record))
    }

    pub(super) fn is_gone(user: &UserId, mxc: &Mxc) -> Self {
        Self::Gone(user.clone(), mxc.clone())
    }
}

/// See the top of the file.
#[derive(Default)]
pub(super) struct Missed(Mutex<VecDeque<Change>>);

impl Missed {
    pub(super) fn note(&self, change: Change) {
        let mut changes = self.changes();
        // One more than the most says that some are missing.
        if changes.len() <= MOST {
            changes.push_back(change);
        }
    }

    pub(super) fn is_overfull(&self) -> bool {
        self.changes().len() > MOST
    }

    pub(super) fn first(&self) -> Option<Change> {
        self.changes().front().cloned()
    }

    pub(super) fn drop_first(&self) {
        self.changes().pop_front();
    }

    pub(super) fn clear(&self) {
        self.changes().clear();
    }

    fn changes(&self) -> MutexGuard<'_, VecDeque<Change>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_changes_are_known_to_be_too_many() {
        let missed = Missed::default();
        let (user, mxc) = ("@a:a.example".parse().unwrap(), "mxc://a.example/x".parse().unwrap());
        let change = Change::is_gone(&user, &mxc);

        for _ in 0..MOST {
            missed.note(change.clone());
        }
        assert!(!missed.is_overfull());
        missed.note(change.clone());
        missed.note(change.clone());

        assert!(missed.is_overfull());
        missed.drop_first();
        missed.clear();
        assert!(missed.first().is_none());
    }
}
