//! The pool that works on pictures: one actor per thread, all behind one address.
//!
//! Owns:  the scratch memory of one thread.
//! Lives: as long as the process.
//! Dies:  never. After a panic of a decoder the thread goes on with a new actor.
//! Load:  each job carries its permit; jobs that nobody awaits any more are skipped.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use actix::prelude::*;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::{error::RenderError, metrics, resize::Scratch};

/// What is done with a file.
pub(crate) type Work<T> = Box<dyn FnOnce(&mut Scratch, Bytes) -> Result<T, RenderError> + Send>;

/// Works on a thread of its own.
#[derive(Default)]
pub(crate) struct RenderWorker {
    scratch: Scratch,
}

/// Starts the pool. Needs a running actix system; the threads end when the address and
/// all its clones are gone.
pub(crate) fn start_pool(threads: usize) -> Addr<RenderWorker> {
    SyncArbiter::start(threads, RenderWorker::default)
}

impl Actor for RenderWorker {
    type Context = SyncContext<Self>;
}

// === messages ===

/// Work on this file.
#[derive(Message)]
#[rtype(result = "Result<T, RenderError>")]
pub(crate) struct WorkOn<T: 'static> {
    /// The file.
    pub(crate) file: Bytes,
    /// What is to become of it.
    pub(crate) work: Work<T>,
    /// Whether anybody still waits.
    pub(crate) is_awaited: Box<dyn Fn() -> bool + Send>,
    /// The admission: room in memory for the file.
    pub(crate) permit: OwnedSemaphorePermit,
}

// === handlers ===

impl<T: 'static> Handler<WorkOn<T>> for RenderWorker {
    type Result = Result<T, RenderError>;

    fn handle(&mut self, job: WorkOn<T>, ctx: &mut Self::Context) -> Self::Result {
        let WorkOn { file, work, is_awaited, permit } = job;
        if !is_awaited() {
            return Err(RenderError::Abandoned);
        }
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut self.scratch, file)));
        metrics::rendered(started.elapsed());
        drop(permit);
        outcome.unwrap_or_else(|_| {
            ctx.stop(); // the scratch memory may be half-written: the factory makes a new worker
            Err(RenderError::DecoderPanicked)
        })
    }
}
