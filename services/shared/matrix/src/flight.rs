//! Single flight: callers who want the same thing at once share one attempt.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::OnceCell;

type Cells<K, V> = HashMap<K, Weak<OnceCell<V>>>;

/// Attempts in progress, by key. Remembers nothing once the last caller has left.
pub struct Flights<K: Eq + Hash + Clone, V>(Mutex<Cells<K, V>>);

impl<K: Eq + Hash + Clone, V: Clone> Flights<K, V> {
    /// Runs `attempt`, or waits for one that another caller runs for the same key. If that
    /// caller leaves before the end, one of those who wait runs its own.
    pub async fn join<F: Future<Output = V>>(&self, key: K, attempt: impl FnOnce() -> F) -> V {
        let seat = Seat { flights: self, cell: Some(self.board(&key)), key };
        match &seat.cell {
            Some(cell) => cell.get_or_init(attempt).await.clone(),
            None => attempt().await,
        }
    }

    fn board(&self, key: &K) -> Arc<OnceCell<V>> {
        let mut cells = self.cells();
        if let Some(cell) = cells.get(key).and_then(Weak::upgrade) {
            return cell;
        }
        let cell = Arc::new(OnceCell::new());
        cells.insert(key.clone(), Arc::downgrade(&cell));
        cell
    }
}

impl<K: Eq + Hash + Clone, V> Flights<K, V> {
    fn cells(&self) -> MutexGuard<'_, Cells<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flights").field(&self.cells().len()).finish()
    }
}

/// One caller's part in a flight. The last to leave clears the entry.
struct Seat<'a, K: Eq + Hash + Clone, V> {
    flights: &'a Flights<K, V>,
    key: K,
    cell: Option<Arc<OnceCell<V>>>,
}

impl<K: Eq + Hash + Clone, V> Drop for Seat<'_, K, V> {
    fn drop(&mut self) {
        let mut cells = self.flights.cells();
        // Under the mutex, so that nobody boards between the drop and the look.
        self.cell = None;
        if cells.get(&self.key).is_some_and(|cell| cell.strong_count() == 0) {
            cells.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn callers_at_once_share_one_attempt_and_nothing_is_kept() {
        let (flights, attempts, gate) = (Flights::<u8, usize>::default(), AtomicUsize::new(0), Notify::new());
        let attempt = || async {
            gate.notified().await;
            attempts.fetch_add(1, Ordering::SeqCst)
        };

        let (a, b, ()) = tokio::join!(flights.join(1, attempt), flights.join(1, attempt), async { gate.notify_one() });

        assert_eq!((a, b, attempts.load(Ordering::SeqCst)), (0, 0, 1));
        assert!(flights.cells().is_empty());
    }

    #[tokio::test]
    async fn who_waits_tries_when_the_first_caller_leaves() {
        let flights = Flights::<u8, u8>::default();
        let first = flights.join(1, std::future::pending);

        let second = tokio::select! {
            biased;
            _ = first => unreachable!(),
            () = tokio::task::yield_now() => flights.join(1, || async { 2 }),
        };

        assert_eq!(second.await, 2);
        assert!(flights.cells().is_empty());
    }
}
