//! Leases in memory.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use heliograph_types::Timestamp;

use crate::{Lease, lease::new_owner};

/// Leases that may be kept before expired ones are looked for.
const SWEEP_FROM: usize = 1024;

/// Who owns what. Expired leases are swept when their number has doubled.
#[derive(Default)]
pub(super) struct LeaseBook(Mutex<Held>);

#[derive(Default)]
struct Held {
    leases: HashMap<String, (Lease, Timestamp)>,
    last_fence: u64,
    sweep_at: usize,
}

impl LeaseBook {
    pub(super) fn try_acquire(&self, key: &str, ttl: Duration, now: Timestamp) -> Option<Lease> {
        let mut held = self.held();
        if held.leases.get(key).is_some_and(|(_, until)| now < *until) {
            return None;
        }
        held.sweep(now);
        let lease = Lease { key: key.to_owned(), fence: held.next_fence(now), owner: new_owner() };
        held.leases.insert(key.to_owned(), (lease.clone(), now + ttl));
        Some(lease)
    }

    pub(super) fn renew(&self, lease: &Lease, ttl: Duration, now: Timestamp) -> bool {
        let mut held = self.held();
        let Some((_, until)) = held.leases.get_mut(&lease.key).filter(|(ours, until)| ours == lease && now < *until)
        else {
            return false;
        };
        *until = now + ttl;
        true
    }

    pub(super) fn release(&self, lease: &Lease) {
        let mut held = self.held();
        if held.leases.get(&lease.key).is_some_and(|(ours, _)| ours == lease) {
            held.leases.remove(&lease.key);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// One counter for all keys, so that none needs to be remembered. It follows the time in
    /// microseconds, as that of Redis does: fences grow across restarts and changes of the
    /// back end too, as far as the clock can be trusted.
    fn next_fence(&mut self, now: Timestamp) -> u64 {
        self.last_fence = self.last_fence.saturating_add(1).max(now.as_millis().saturating_mul(1000));
        self.last_fence
    }

    fn sweep(&mut self, now: Timestamp) {
        if self.leases.len() < self.sweep_at.max(SWEEP_FROM) {
            return;
        }
        self.leases.retain(|_, (_, until)| now < *until);
        self.sweep_at = self.leases.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_leases_do_not_pile_up() {
        let book = LeaseBook::default();

        for n in 0..10 * SWEEP_FROM as u64 {
            let _ = book.try_acquire(&n.to_string(), Duration::from_millis(5), Timestamp::from_millis(n));
        }

        assert!(book.held().leases.len() <= SWEEP_FROM);
    }

    #[test]
    fn a_lease_lasts_exactly_its_time() {
        let book = LeaseBook::default();
        let ttl = Duration::from_millis(300);
        let lease = book.try_acquire("key", ttl, Timestamp::from_millis(0)).unwrap();

        let too_early = book.try_acquire("key", ttl, Timestamp::from_millis(299));
        let too_late = book.renew(&lease, ttl, Timestamp::from_millis(300));
        let in_time = book.try_acquire("key", ttl, Timestamp::from_millis(300));

        assert_eq!(too_early, None);
        assert!(!too_late);
        assert!(in_time.is_some());
    }

    #[test]
    fn fences_follow_the_clock_so_that_a_restart_does_not_lower_them() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let before = LeaseBook::default().try_acquire("key", Duration::from_secs(1), now);
        let after = LeaseBook::default().try_acquire("key", Duration::from_secs(1), now + Duration::from_millis(1));

        assert!(after.unwrap().fence > before.unwrap().fence);
    }
}
