//! Who writes into the file: one transaction at a time, each with all that has come meanwhile. Whoever
//! waits for an answer has it written at once, on a thread that may wait; what nobody waits for, a thread
//! of its own writes a little later, and is asleep otherwise.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use heliograph_types::{Clock, Timestamp};
use redb::{Database, Durability};
use tokio::sync::oneshot;

use super::{
    tables::Tables,
    waiting::{About, Asked, Batch, Behind, Waiting},
};
use crate::{MARKS, StateError, measure::note_time};

/// How much a crash may cost. What lasts can be rebuilt from the bucket, so a write does not
/// wait for the disk unless the last that did is this long ago; a clean close saves the rest.
pub(super) const SAVED_EVERY: Duration = Duration::from_secs(5);

/// The same for so many changes: redb keeps in memory what it has not saved, several pages for each.
const SAVED_AFTER: u64 = 10_000;

/// How long what nobody waits for may wait for more of its kind.
const WRITTEN_WITHIN: Duration = Duration::from_millis(50);

/// The file, and what is on its way into it.
pub(super) struct Writer {
    pub(super) database: Database,
    clock: Arc<dyn Clock>,
    saved_at: AtomicU64,
    unsaved: AtomicU64,
    /// What was written behind was lost, and the marks are to go.
    has_lost: AtomicBool,
    context: String,
    // redb has one writer at a time and blocks the others: they wait here, where it costs no thread.
    waiting: Mutex<Waiting>,
    /// Told to whoever writes behind: the first change, a turn that never came, the end, and then the end
    /// of another's turn.
    called: Condvar,
}

impl Writer {
    pub(super) fn new(database: Database, clock: Arc<dyn Clock>, context: String) -> Self {
        let saved_at = AtomicU64::new(clock.now().as_millis());
        let (unsaved, has_lost) = (AtomicU64::new(0), AtomicBool::new(false));
        Self {
            database,
            clock,
            saved_at,
            unsaved,
            has_lost,
            context,
            waiting: Mutex::default(),
            called: Condvar::new(),
        }
    }

    pub(super) fn failure(&self, operation: &str, reason: String) -> StateError {
        StateError { context: format!("{operation} in {}", self.context), reason }
    }

    /// Has `work` written, and waits for it.
    pub(super) async fn ask<T, W>(self: &Arc<Self>, about: About<'_>, work: W) -> Result<T, StateError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        let is_ours = self.waiting().ask(&about, Box::new(Asked::new(work, answer)));
        if is_ours {
            let turn = Turn(Some(Arc::clone(self)));
            // It is told of the outcome by itself.
            drop(tokio::task::spawn_blocking(move || turn.write_what_waits()));
        }
        match outcome.await {
            Ok(Ok(Some(value))) => Ok(value),
            Ok(Err(reason)) => Err(self.failure(about.operation, reason)),
            Ok(Ok(None)) | Err(_) => Err(self.failure(about.operation, "it was not written".to_owned())),
        }
    }

    /// Has `work` written a little later. Gives it back if that may not be. `within` is for work that
    /// adds a member to an index only if there are fewer than so many.
    pub(super) fn defer<T, W>(&self, about: &About<'_>, within: Option<u64>, work: W) -> Result<(), W>
    where
        T: 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    {
        let mut waiting = self.waiting();
        if !waiting.may_defer(about, within) {
            return Err(work);
        }
        let is_first = waiting.defer(about, Box::new(Behind::new(about.operation, work)));
        drop(waiting);
        if is_first {
            self.called.notify_one();
        }
        Ok(())
    }

    /// Whether something was written behind that nobody can read yet.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting().is_behind()
    }

    /// Writes what nobody waits for, until it is closed and nothing is left.
    pub(super) fn write_behind(self: Arc<Self>) {
        loop {
            let waiting = self.sleep_while(self.waiting(), |waiting| !waiting.calls());
            let (waiting, _) = self
                .called
                .wait_timeout_while(waiting, WRITTEN_WITHIN, |waiting| !waiting.is_closing())
                .unwrap_or_else(PoisonError::into_inner);
            let others_end = |waiting: &mut Waiting| waiting.is_closing() && waiting.is_taken_care_of();
            let mut waiting = self.sleep_while(waiting, others_end);
            let is_ours = waiting.take_care();
            let is_over = waiting.is_closing() && !is_ours;
            drop(waiting);
            if is_over {
                return;
            }
            if is_ours {
                let begun = Instant::now();
                Turn(Some(Arc::clone(&self))).write_what_waits();
                note_time("embedded", "write_behind", begun);
            }
        }
    }

    /// Has what waits written, after which `write_behind` ends.
    pub(super) fn close(&self) {
        self.waiting().close();
        self.called.notify_one();
    }

    fn sleep_while<'a>(
        &self,
        waiting: MutexGuard<'a, Waiting>,
        condition: impl FnMut(&mut Waiting) -> bool,
    ) -> MutexGuard<'a, Waiting> {
        self.called.wait_while(waiting, condition).unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One transaction is over; what is in the next one, if it is to follow at once.
    fn go_on(&self, over: &Batch, outcome: &Result<(), String>) -> Option<Batch> {
        if let Err(reason) = outcome
            && over.behind > 0
        {
            let (lost, context) = (over.behind, &self.context);
            tracing::error!(lost, reason, "changes to the {context} are lost: what is derived is to be made anew");
            self.has_lost.store(true, Ordering::Relaxed);
        }
        let mut waiting = self.waiting();
        let next = waiting.go_on(over, outcome.is_ok());
        let is_closing = waiting.is_closing();
        drop(waiting);
        if is_closing {
            self.called.notify_one();
        }
        next
    }

    fn write_together(&self, batch: &mut Batch) -> Result<(), String> {
        // redb panics on some kinds of damage; a transaction that is not committed is none.
        match catch_unwind(AssertUnwindSafe(|| self.write(batch))) {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err("writing it panicked".to_owned()),
        }
    }

    fn write(&self, batch: &mut Batch) -> Result<(), redb::Error> {
        let now = self.clock.now();
        let unsaved = self.unsaved.load(Ordering::Relaxed);
        let save = unsaved >= SAVED_AFTER
            || now.since(Timestamp::from_millis(self.saved_at.load(Ordering::Relaxed))) >= SAVED_EVERY;
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(if save { Durability::Immediate } else { Durability::None })?;
        let mut tables = Tables::new(&transaction, mem::take(&mut batch.counts));
        let has_lost = self.has_lost.load(Ordering::Relaxed);
        if has_lost {
            tables.indexes()?.clear(MARKS)?;
        }
        for write in &mut batch.writes {
            write.work(&mut tables)?;
        }
        let (counts, changed) = tables.close();
        batch.counts = counts;
        transaction.commit()?;
        if save {
            self.saved_at.store(now.as_millis(), Ordering::Relaxed);
        }
        if has_lost {
            self.has_lost.store(false, Ordering::Relaxed);
        }
        self.unsaved.store(if save { 0 } else { unsaved + changed }, Ordering::Relaxed);
        Ok(())
    }
}

/// Whose turn it is to write. One at a time has it.
struct Turn(Option<Arc<Writer>>);

impl Turn {
    /// Writes until nobody waits any more.
    fn write_what_waits(mut self) {
        let mut next = self.0.as_ref().map(|writer| writer.waiting().take());
        while let Some((writer, mut batch)) = self.0.take().zip(next.take()) {
            let outcome = writer.write_together(&mut batch);
            next = writer.go_on(&batch, &outcome);
            // Whoever has heard the last outcome may close the file, and open it again.
            self.0 = next.is_some().then_some(writer);
            for write in batch.writes {
                write.tell(outcome.clone());
            }
        }
    }
}

impl Drop for Turn {
    /// Of one that never came, since its runtime has ended: what waits is left to who writes behind.
    fn drop(&mut self) {
        if let Some(writer) = self.0.take() {
            writer.waiting().pass();
            writer.called.notify_one();
        }
    }
}
