//! Which copies of remote media were read, and when: noted in memory, written down together now
//! and then. Nothing that is read waits for that.
//!
//! Eviction goes by it. Media of our own are never evicted, so their reads are not noted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use heliograph_catalog::{Copies, MediaRecord};
use heliograph_types::{Clock, Mxc, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// Copies whose reads are noted until they are written, about 200 bytes each. Of more than this,
/// reads are forgotten.
const MOST: usize = 100_000;
/// Reads in one message to the shared state, which does nothing else meanwhile.
const AT_ONCE: usize = 1000;

/// See the top of the file.
pub(crate) struct Reads {
    noted: Mutex<HashMap<Mxc, Timestamp>>,
    copies: Copies,
    clock: Arc<dyn Clock>,
}

impl Reads {
    pub(crate) fn new(copies: Copies, clock: Arc<dyn Clock>) -> Self {
        Self { noted: Mutex::default(), copies, clock }
    }

    /// Notes that a copy is being read this moment.
    pub(crate) fn note(&self, mxc: &Mxc) {
        let now = self.clock.now();
        if !keep_later(&mut self.noted(), mxc, now) {
            metrics::read_forgotten();
        }
    }

    /// Notes that a copy is being read, now and with each call of what is returned: a long read
    /// goes on.
    pub(crate) fn follow(self: &Arc<Self>, record: &MediaRecord) -> impl Fn() + use<> {
        let followed = record.is_remote_copy().then(|| (Arc::clone(self), record.mxc.clone()));
        move || {
            if let Some((reads, mxc)) = &followed {
                reads.note(mxc);
            }
        }
    }

    /// When a copy was last read, as far as it was written down.
    pub(crate) async fn find_last(&self, mxc: &Mxc) -> Option<Timestamp> {
        self.copies.find_last_read(mxc).await.unwrap_or_else(|error| {
            tracing::warn!(%mxc, %error, "it is not known when this copy was last read");
            None
        })
    }

    /// Writes down what was noted, now and then until shutdown.
    pub(crate) async fn write_every(self: Arc<Self>, interval: Duration, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
            self.write().await;
        }
    }

    /// Writes down what was noted since; what cannot be written is noted still.
    pub(crate) async fn write(&self) {
        let noted: Vec<(Mxc, Timestamp)> = std::mem::take(&mut *self.noted()).into_iter().collect();
        // Sent one after the other without waiting: one round trip for all.
        join_all(noted.chunks(AT_ONCE).map(|reads| self.write_down(reads))).await;
    }

    async fn write_down(&self, reads: &[(Mxc, Timestamp)]) {
        match self.copies.note_read(reads).await {
            Ok(count) => metrics::reads_written(count),
            Err(error) => {
                tracing::warn!(%error, count = reads.len(), "reads of remote media are written down later");
                let mut noted = self.noted();
                let forgotten = reads.iter().filter(|(mxc, at)| !keep_later(&mut noted, mxc, *at)).count();
                (0..forgotten).for_each(|_| metrics::read_forgotten());
            }
        }
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<Mxc, Timestamp>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// False if there is no room.
fn keep_later(noted: &mut HashMap<Mxc, Timestamp>, mxc: &Mxc, at: Timestamp) -> bool {
    if let Some(earlier) = noted.get_mut(mxc) {
        *earlier = at.max(*earlier);
        return true;
    }
    let has_room = noted.len() < MOST;
    if has_room {
        noted.insert(mxc.clone(), at);
    }
    has_room
}

#[cfg(test)]
mod tests {
    use heliograph_catalog::RemoteCopy;
    use heliograph_leases::{EmbeddedState, LedgerEntry, State, StateConfig};
    use heliograph_types::{ManualClock, Secret};
    use tokio_util::task::TaskTracker;

    use super::*;

    fn mxc(name: &str) -> Mxc {
        format!("mxc://far.example/{name}").parse().unwrap()
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::at(at(100)))
    }

    async fn reads(clock: &Arc<ManualClock>, copies: &[&str]) -> Reads {
        let state: State = Arc::new(EmbeddedState::in_memory(clock.clone()).unwrap());
        let ledger = Copies::new(state);
        let entry = |name: &&str| LedgerEntry { member: mxc(name).to_string(), bytes: 1, at: 10 };
        let entries: Vec<RemoteCopy> = copies.iter().map(entry).map(RemoteCopy::from).collect();
        ledger.enter(&entries).await.unwrap();
        Reads::new(ledger, clock.clone())
    }

    #[tokio::test]
    async fn reads_are_written_together_and_the_last_of_each_counts() {
        let clock = clock();
        let reads = reads(&clock, &["a", "b", "c"]).await;
        for name in ["a", "b", "gone", "a"] {
            clock.advance(Duration::from_millis(1));
            reads.note(&mxc(name));
        }
        assert_eq!(reads.find_last(&mxc("a")).await, Some(at(10)), "nothing is written by itself");

        reads.write().await;

        assert_eq!(reads.find_last(&mxc("a")).await, Some(at(104)));
        assert_eq!(reads.find_last(&mxc("b")).await, Some(at(102)));
        assert_eq!(reads.find_last(&mxc("c")).await, Some(at(10)));
        assert_eq!(reads.find_last(&mxc("gone")).await, None);
        assert!(reads.noted().is_empty());
    }

    #[tokio::test]
    async fn what_is_noted_is_bounded_and_what_is_there_goes_on_counting() {
        let clock = clock();
        let reads = reads(&clock, &["0", "1500"]).await;
        for n in 0..=MOST {
            reads.note(&mxc(&n.to_string()));
        }
        clock.advance(Duration::from_millis(1));
        reads.note(&mxc("1500"));

        assert_eq!(reads.noted().len(), MOST);
        reads.write().await;

        assert_eq!(reads.find_last(&mxc("0")).await, Some(at(100)));
        assert_eq!(reads.find_last(&mxc("1500")).await, Some(at(101)));
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_noted_still() {
        let clock = clock();
        // Nobody listens there.
        let config =
            StateConfig { redis_url: Some(Secret::new("redis://127.0.0.1:1/".to_owned())), ..StateConfig::default() };
        let tasks = TaskTracker::new();
        let state = heliograph_leases::RedisState::connect(&config, &tasks, CancellationToken::new()).unwrap();
        let reads = Reads::new(Copies::new(Arc::new(state)), clock);
        reads.note(&mxc("a"));

        reads.write().await;

        assert_eq!(reads.noted().get(&mxc("a")), Some(&at(100)));
    }
}
