//! What the last profiles meant. Nearly all pictures have one of a few.

use std::{
    collections::VecDeque,
    fmt,
    hash::{BuildHasher, RandomState},
};

use super::{Kind, profile::Meaning};

/// Profiles that are kept. One of a printing press takes some megabytes.
const MOST: usize = 8;

/// The last used one comes first.
#[derive(Default)]
pub(super) struct Recent {
    /// Its key is secret: nobody can make a profile that is taken for another.
    hasher: RandomState,
    known: VecDeque<(Key, Meaning)>,
}

#[derive(PartialEq)]
struct Key {
    hash: u64,
    kind: Kind,
}

impl Recent {
    /// What `profile` means for pictures of this kind.
    pub(super) fn meaning(&mut self, profile: &[u8], kind: Kind) -> &Meaning {
        let key = Key { hash: self.hasher.hash_one(profile), kind };
        let place = self.known.iter().position(|(known, _)| *known == key);
        let entry = place.and_then(|place| self.known.remove(place));
        self.known.truncate(MOST - 1);
        self.known.push_front(entry.unwrap_or_else(|| (key, Meaning::read(profile, kind))));
        &self.known[0].1
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("known", &self.known.len()).finish_non_exhaustive()
    }
}
