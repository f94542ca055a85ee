//! Threads of this process, for tests that must know when a picture is worked on.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use actix::prelude::*;
use async_trait::async_trait;
use heliograph_imaging::{Cost, Done, Header, Job, RenderError, Rules, Scratch, work};
use heliograph_jail::{Mapping, Reason};

use super::{Bench, Flown, Mapped};
use crate::{error::Refusal, file::PictureFile, metrics};

/// What is done with a file.
pub(crate) type Task<T> = Box<dyn FnOnce(&mut Scratch) -> Result<T, RenderError> + Send>;

/// Threads of this process.
pub(crate) struct Threads(Addr<RenderWorker>);

impl Threads {
    /// Starts so many. Needs a running actix system; they end when this and all its clones are gone.
    pub(crate) fn start(threads: usize) -> Self {
        Self(SyncArbiter::start(threads, RenderWorker::default))
    }

    /// Has a task done by one of them.
    pub(crate) async fn hand_over<T: Send + 'static>(&self, flown: Flown, task: Task<T>) -> Result<T, Refusal> {
        self.0.send(WorkOn { task, flown }).await.unwrap_or(Err(Refusal::Closed))
    }
}

#[async_trait]
impl Bench for Threads {
    async fn look(&self, file: &PictureFile, rules: &Rules, flown: &Flown) -> Result<Header, Refusal> {
        let (mapping, rules) = (file.map().unwrap(), *rules);
        self.hand_over(flown.clone(), Box::new(move |_| Header::read(mapping.bytes(), &rules))).await
    }

    async fn work(&self, file: &PictureFile, job: Job, _: Cost, flown: &Flown) -> Result<Done, Refusal> {
        let mapping: Mapping = file.map().unwrap();
        self.hand_over(flown.clone(), Box::new(move |scratch| work(scratch, &Mapped(&mapping), &job))).await
    }
}

/// Works on a thread of its own.
#[derive(Default)]
pub(crate) struct RenderWorker {
    scratch: Scratch,
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
    pub(crate) flown: Flown,
}

// === handlers ===

impl<T: 'static> Handler<WorkOn<T>> for RenderWorker {
    type Result = Result<T, Refusal>;

    fn handle(&mut self, WorkOn { task, flown }: WorkOn<T>, ctx: &mut Self::Context) -> Self::Result {
        if !flown.is_awaited() {
            return Err(Refusal::Abandoned);
        }
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| task(&mut self.scratch)));
        metrics::rendered(started.elapsed());
        outcome.map_or_else(
            |_| {
                ctx.stop(); // the scratch memory may be half-written: the factory makes a new worker
                Err(Refusal::WorkerLost { reason: Reason::Panicked })
            },
            |product| product.map_err(Refusal::from),
        )
    }
}
