//! The file of the indexes and ledgers. What somebody waits for is written at once, off the async
//! threads, and in one transaction with all that came meanwhile; what nobody waits for is written
//! with it, or a little later.

use std::{path::Path, sync::Arc, thread};

use heliograph_types::Clock;
use redb::{Database, ReadTransaction, ReadableDatabase};

use super::{
    opening::{open_file, open_in_memory},
    tables::Tables,
    waiting::About,
    writer::Writer,
};
use crate::{StateError, measure::measured};

/// The file, or memory in its place.
pub(super) struct IndexFile {
    writer: Arc<Writer>,
    /// Writes what nobody waits for.
    behind: Option<thread::JoinHandle<()>>,
}

impl IndexFile {
    pub(super) fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let context = format!("index file {}", path.display());
        match open_file(path) {
            Ok(database) => Self::new(database, clock, context),
            Err(reason) => Err(StateError { context, reason }),
        }
    }

    pub(super) fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let context = "indexes in memory".to_owned();
        match open_in_memory() {
            Ok(database) => Self::new(database, clock, context),
            Err(reason) => Err(StateError { context, reason }),
        }
    }

    fn new(database: Database, clock: Arc<dyn Clock>, context: String) -> Result<Self, StateError> {
        let writer = Arc::new(Writer::new(database, clock, context));
        let of_thread = Arc::clone(&writer);
        let thread = thread::Builder::new().name("state file".to_owned()).spawn(move || of_thread.write_behind());
        let behind = thread.map_err(|error| writer.failure("starting a thread", error.to_string()))?;
        Ok(Self { writer, behind: Some(behind) })
    }

    /// Runs `work` in a write transaction; all of it happens or nothing. Other writes may be in the same transaction,
    /// one after the other: if one of them fails, so do all.
    pub(super) async fn write<T, W>(&self, about: About<'_>, work: W) -> Result<T, StateError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    {
        measured("embedded", about.operation, self.writer.ask(about, work)).await
    }

    /// Has `work` written in its order, before anything is read or written that comes later. Waits for
    /// it only if too much waits already, or if the last transaction failed.
    pub(super) async fn write_behind<T, W>(&self, about: About<'_>, work: W) -> Result<(), StateError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Tables<'_>) -> Result<T, redb::Error> + Send + 'static,
    {
        measured("embedded", about.operation, async {
            match self.writer.defer(&about, None, work) {
                Ok(()) => Ok(()),
                Err(work) => self.writer.ask(about, work).await.map(drop),
            }
        })
        .await
    }

    /// The same for `work` that lists a member unless there are `most` others, and says whether it did.
    /// Waits for it as well if it is not sure that there are fewer.
    pub(super) async fn write_within<W>(&self, about: About<'_>, most: u64, work: W) -> Result<bool, StateError>
    where
        W: FnOnce(&mut Tables<'_>) -> Result<bool, redb::Error> + Send + 'static,
    {
        measured("embedded", about.operation, async {
            match self.writer.defer(&about, Some(most), work) {
                Ok(()) => Ok(true),
                Err(work) => self.writer.ask(about, work).await,
            }
        })
        .await
    }

    /// Runs one read transaction, which sees every write that is over, or was written behind, and none
    /// that is not.
    pub(super) async fn read<T, R>(&self, operation: &'static str, work: R) -> Result<T, StateError>
    where
        T: Send + 'static,
        R: FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    {
        measured("embedded", operation, async {
            if self.writer.is_behind() {
                self.writer.ask(About { operation, touched: None, bytes: 0 }, |_: &mut Tables<'_>| Ok(())).await?;
            }
            let writer = Arc::clone(&self.writer);
            let read = tokio::task::spawn_blocking(move || work(&writer.database.begin_read()?));
            let reason = match read.await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error.to_string(),
                // redb panics on some kinds of damage.
                Err(panicked) => panicked.to_string(),
            };
            Err(self.writer.failure(operation, reason))
        })
        .await
    }
}

impl Drop for IndexFile {
    /// Writes what waits, so that a clean close loses nothing.
    fn drop(&mut self) {
        self.writer.close();
        if let Some(behind) = self.behind.take() {
            // A panic there was told already.
            let _ = behind.join();
        }
    }
}

#[cfg(test)]
mod tests;
