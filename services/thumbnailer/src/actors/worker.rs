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
use heliograph_imaging::{RenderError, Scratch};

use crate::{bench::IsAwaited, error::Refusal, metrics};

/// What is done with a file.
pub(crate) type Task<T> = Box<dyn FnOnce(&mut Scratch) -> Result<T, RenderError> + Send>;

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

/// Work on a file.
#[derive(Message)]
#[rtype(result = "Result<T, Refusal>")]
pub(crate) struct WorkOn<T: 'static> {
    /// What is to become of it.
    pub(crate) task: Task<T>,
    /// Whether anybody still waits.
    pub(crate) is_awaited: IsAwaited,
}

// === handlers ===

impl<T: 'static> Handler<WorkOn<T>> for RenderWorker {
    type Result = Result<T, Refusal>;

    fn handle(&mut self, WorkOn { task, is_awaited }: WorkOn<T>, ctx: &mut Self::Context) -> Self::Result {
        if !is_awaited() {
            return Err(Refusal::Abandoned);
        }
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| task(&mut self.scratch)));
        metrics::rendered(started.elapsed());
        outcome.map_or_else(
            |_| {
                ctx.stop(); // the scratch memory may be half-written: the factory makes a new worker
                Err(Refusal::DecoderPanicked)
            },
            |product| product.map_err(Refusal::from),
        )
    }
}
