//! Where a key belongs: rendezvous hashing.
//!
//! Each instance has a weight for each key, and the key belongs to the heaviest. So an instance
//! that comes takes its share from all others alike, and one that goes leaves its share to all
//! others alike: nothing else moves. Everybody who knows the same instances comes to the same
//! answer, in every process, on every platform, in every version: the weight is SipHash-1-3 of the
//! address, keyed with the key.
//!
//! That saves work: what is in progress, remembered and limited for a key meets in one place. It
//! is not what makes us right: leases and fences are, and two who see different instances do no
//! harm.

use std::cmp::Reverse;

use siphasher::sip::SipHasher13;

/// What calls are routed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteKey(u64);

/// Never to be changed: during an update old and new processes must agree.
const SEED: u64 = 0x6865_6c69_6f67_7261;

impl RouteKey {
    /// The key of a text, such as a media id or the name of a server.
    pub fn of(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    /// The key of some content.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(SipHasher13::new_with_keys(SEED, 0).hash(bytes))
    }

    /// A key for what nobody else has to find.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// A key that was given as a number before.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// It as a number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// How much the instance of this name (its address) weighs for `key`.
pub fn weight(name: &str, key: RouteKey) -> u64 {
    SipHasher13::new_with_keys(SEED, key.0).hash(name.as_bytes())
}

/// The instances in the order of `key`: the first is where it belongs, the next where it goes
/// without the first, and so on. The order in which they are given does not matter.
pub fn in_order<T>(instances: impl IntoIterator<Item = T>, key: RouteKey, name: impl Fn(&T) -> &str) -> Vec<T> {
    let mut ordered: Vec<(u64, T)> =
        instances.into_iter().map(|instance| (weight(name(&instance), key), instance)).collect();
    ordered.sort_by(|(one, a), (other, b)| (Reverse(one), name(a)).cmp(&(Reverse(other), name(b))));
    ordered.into_iter().map(|(_, instance)| instance).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Two hundred for each of a hundred.
    const FEWER: usize = 20_000;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("10.{}.{}.7:8100", number / 200, number % 200)).collect()
    }

    fn keys(count: usize) -> impl Iterator<Item = RouteKey> {
        (0..count).map(|number| RouteKey::of(&format!("mxc://example.org/{number}")))
    }

    fn home(names: &[String], key: RouteKey) -> &str {
        names.iter().max_by_key(|name| weight(name, key)).unwrap()
    }

    #[test]
    fn every_version_places_keys_alike() {
        let key = RouteKey::of("mxc://example.org/abc");

        assert_eq!(key.number(), 10_509_637_940_502_407_926);
        assert_eq!(weight("10.0.0.5:8100", key), 4_249_421_180_356_169_187);
        assert_eq!(RouteKey::from_number(key.number()), key);
    }

    #[test]
    fn a_hundred_instances_have_nearly_the_same_share() {
        let names = names(100);
        let mut shares: HashMap<&str, usize> = HashMap::new();

        for key in keys(100_000) {
            *shares.entry(home(&names, key)).or_default() += 1;
        }

        // A thousand each; five standard deviations are 160.
        let (least, most) = (shares.values().min().unwrap(), shares.values().max().unwrap());
        assert!(shares.len() == 100 && (840..=1160).contains(least) && (840..=1160).contains(most), "{least} {most}");
    }

    #[test]
    fn one_more_takes_its_share_and_nothing_else_moves() {
        let (before, after) = (names(100), names(101));

        let moved: Vec<&str> =
            keys(FEWER).filter(|key| home(&before, *key) != home(&after, *key)).map(|key| home(&after, key)).collect();

        assert!(moved.iter().all(|to| *to == after[100]), "what moves, moves to the new one");
        assert!((130..=270).contains(&moved.len()), "{} of {FEWER}", moved.len());
    }

    #[test]
    fn what_one_leaves_is_spread_over_all_others() {
        let (before, after) = (names(100), names(99));
        let mut taken: HashMap<&str, usize> = HashMap::new();

        for key in keys(FEWER) {
            let (was, is) = (home(&before, key), home(&after, key));
            if was == before[99] {
                *taken.entry(is).or_default() += 1;
            } else {
                assert_eq!(was, is, "it did not have to move");
            }
        }

        // About two each.
        assert!(taken.len() >= 70 && taken.values().all(|count| *count <= 12), "{taken:?}");
    }

    proptest! {
        #[test]
        fn the_order_of_addresses_does_not_matter(
            names in proptest::collection::hash_set("[a-z0-9.:]{1,20}", 1..20),
            text: String,
        ) {
            let key = RouteKey::of(&text);
            let mut other: Vec<&String> = names.iter().collect();
            other.sort();

            let ordered = in_order(names.iter(), key, |name| name.as_str());

            prop_assert_eq!(&ordered, &in_order(other, key, |name| name.as_str()));
            prop_assert_eq!(ordered.len(), names.len());
        }

        #[test]
        fn without_one_instance_the_others_stay_in_their_order(
            names in proptest::collection::hash_set("[a-z0-9.:]{1,20}", 2..20),
            text: String,
            which: prop::sample::Index,
        ) {
            let key = RouteKey::of(&text);
            let mut ordered = in_order(names.iter(), key, |name| name.as_str());
            let gone = ordered.remove(which.index(ordered.len()));

            let without = in_order(names.iter().filter(|name| *name != gone), key, |name| name.as_str());

            prop_assert_eq!(without, ordered);
        }
    }
}
