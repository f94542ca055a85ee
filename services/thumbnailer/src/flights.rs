//! Single flight: those who want the same thing at once share one task that makes it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::watch;

/// One task, and all who wait for it.
#[derive(Debug)]
pub(crate) struct Flight<V>(watch::Sender<Option<V>>);

/// The tasks in progress, by what they make.
#[derive(Debug)]
pub(crate) struct Flights<K, V> {
    // Weak: if a task dies, its waiters learn that instead of waiting for ever, and the
    // next who asks begins anew.
    by_key: Mutex<HashMap<K, Weak<Flight<V>>>>,
}

/// Waits for the outcome of a flight. Whoever drops it no longer counts as waiting.
#[derive(Debug)]
pub(crate) struct Seat<V>(watch::Receiver<Option<V>>);

impl<V: Clone> Seat<V> {
    /// The outcome; `None` if the task died.
    pub(crate) async fn outcome(mut self) -> Option<V> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

impl<V> Flight<V> {
    /// Whether somebody waits now.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.0.is_closed()
    }

    /// Until nobody waits any more.
    pub(crate) async fn abandoned(&self) {
        self.0.closed().await;
    }
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { by_key: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone, V> Flights<K, V> {
    /// A seat in the flight of `key`. With a new flight, the caller must start its task.
    pub(crate) fn join(&self, key: &K) -> (Seat<V>, Option<Arc<Flight<V>>>) {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(key).and_then(Weak::upgrade) {
            return (Seat(flight.0.subscribe()), None);
        }
        let (sender, receiver) = watch::channel(None);
        let flight = Arc::new(Flight(sender));
        flights.insert(key.clone(), Arc::downgrade(&flight));
        (Seat(receiver), Some(flight))
    }

    /// Tells all who wait the outcome. Who comes later begins anew.
    pub(crate) fn land(&self, key: &K, flight: &Flight<V>, outcome: V) {
        self.lock().remove(key);
        flight.0.send_replace(Some(outcome));
    }

    /// Ends the flight if nobody waits; false if somebody does, who may have come just now.
    pub(crate) fn try_cancel(&self, key: &K, flight: &Flight<V>) -> bool {
        let mut flights = self.lock();
        if flight.is_awaited() {
            return false;
        }
        flights.remove(key);
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Weak<Flight<V>>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_who_wait_get_the_one_outcome() {
        let flights = Flights::default();
        let (first, flight) = flights.join(&"key");
        let (second, none) = flights.join(&"key");

        flights.land(&"key", &flight.unwrap(), 7);

        assert!(none.is_none());
        assert_eq!((first.outcome().await, second.outcome().await), (Some(7), Some(7)));
        assert!(flights.join(&"key").1.is_some(), "who comes later begins anew");
    }

    #[tokio::test]
    async fn who_waits_for_a_dead_task_learns_it_and_the_next_begins_anew() {
        let flights = Flights::<_, u8>::default();
        let (seat, flight) = flights.join(&"key");

        drop(flight);

        assert_eq!(seat.outcome().await, None);
        assert!(flights.join(&"key").1.is_some());
    }

    #[tokio::test]
    async fn a_flight_is_cancelled_only_when_its_last_waiter_has_gone() {
        let flights = Flights::<_, u8>::default();
        let (first, flight) = flights.join(&"key");
        let flight = flight.unwrap();
        let (second, _) = flights.join(&"key");

        drop(first);
        assert!(flight.is_awaited() && !flights.try_cancel(&"key", &flight));
        drop(second);
        flight.abandoned().await;
        let (third, _) = flights.join(&"key");
        assert!(!flights.try_cancel(&"key", &flight), "somebody came back");
        drop(third);

        assert!(flights.try_cancel(&"key", &flight));
        assert!(flights.join(&"key").1.is_some());
    }
}
