//! What could not be counted while the shared state was out of reach.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use heliograph_catalog::MediaRecord;
use heliograph_types::{Mxc, UserId};

/// More are not remembered, about 1 KiB each: then everything is counted anew.
const MOST: usize = 10_000;

/// Whose, which, and what it is now: nothing if it is gone.
type Change = (UserId, Mxc, Option<MediaRecord>);

/// See the top of the file.
#[derive(Default)]
pub(super) struct Missed(Mutex<VecDeque<Change>>);

impl Missed {
    pub(super) fn note(&self, user: &UserId, mxc: &Mxc, now: Option<&MediaRecord>) {
        let mut changes = self.changes();
        // One more than the most says that some are missing.
        if changes.len() <= MOST {
            changes.push_back((user.clone(), mxc.clone(), now.cloned()));
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

        for _ in 0..MOST {
            missed.note(&user, &mxc, None);
        }
        assert!(!missed.is_overfull());
        missed.note(&user, &mxc, None);
        missed.note(&user, &mxc, None);

        assert!(missed.is_overfull());
        missed.drop_first();
        missed.clear();
        assert!(missed.first().is_none());
    }
}
