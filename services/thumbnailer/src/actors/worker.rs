//! The pool that renders: one actor per thread, all behind one address.
//!
//! Owns:  the scratch memory of one thread.
//! Lives: as long as the process.
//! Dies:  never. After a panic of a decoder the thread goes on with a new actor.
//! Load:  each job carries its permit; jobs that nobody awaits any more are skipped.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use actix::prelude::*;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    error::RenderError,
    metrics,
    render::{Rendered, Wanted},
    resize::Scratch,
};

/// How a file becomes a thumbnail; tests put their own in its place.
pub(crate) type Renderer = Arc<dyn Fn(&mut Scratch, Bytes, &Wanted) -> Result<Rendered, RenderError> + Send + Sync>;

/// Renders on a thread of its own.
pub(crate) struct RenderWorker {
    renderer: Renderer,
    scratch: Scratch,
}

/// Starts the pool. Needs a running actix system; the threads end when the address and
/// all its clones are gone.
pub(crate) fn start_pool(threads: usize, renderer: Renderer) -> Addr<RenderWorker> {
    SyncArbiter::start(threads, move || RenderWorker { renderer: Arc::clone(&renderer), scratch: Scratch::default() })
}

impl Actor for RenderWorker {
    type Context = SyncContext<Self>;
}

// === messages ===

/// Make this thumbnail.
#[derive(Message)]
#[rtype(result = "Result<Rendered, RenderError>")]
pub(crate) struct RenderPicture {
    /// The file.
    pub(crate) file: Bytes,
    /// Which thumbnail of it.
    pub(crate) wanted: Wanted,
    /// Whether anybody still waits.
    pub(crate) is_awaited: Box<dyn Fn() -> bool + Send>,
    /// The admission: room in memory for the file.
    pub(crate) permit: OwnedSemaphorePermit,
}

// === handlers ===

impl Handler<RenderPicture> for RenderWorker {
    type Result = Result<Rendered, RenderError>;

    fn handle(&mut self, job: RenderPicture, ctx: &mut Self::Context) -> Self::Result {
        let RenderPicture { file, wanted, is_awaited, permit } = job;
        if !is_awaited() {
            return Err(RenderError::Abandoned);
        }
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.renderer)(&mut self.scratch, file, &wanted)));
        metrics::rendered(started.elapsed());
        drop(permit);
        outcome.unwrap_or_else(|_| {
            ctx.stop(); // the scratch memory may be half-written: the factory makes a new worker
            Err(RenderError::DecoderPanicked)
        })
    }
}
