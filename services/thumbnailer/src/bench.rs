//! Where pictures are worked on.

use actix::Addr;
use async_trait::async_trait;
use bytes::Bytes;
use heliograph_imaging::{Done, Header, Job, Rules, work};

use crate::{
    actors::worker::{RenderWorker, Task, WorkOn, start_pool},
    error::Refusal,
};

/// Works on pictures; tests put their own in its place.
#[async_trait]
pub(crate) trait Bench: Send + Sync + 'static {
    /// Looks at the header of a file.
    async fn look(&self, file: &Bytes, rules: &Rules) -> Result<Header, Refusal>;

    /// Does a job. Not begun if `is_awaited` says no when its turn comes.
    async fn work(&self, file: &Bytes, job: Job, is_awaited: IsAwaited) -> Result<Done, Refusal>;
}

/// Whether anybody still waits.
pub(crate) type IsAwaited = Box<dyn Fn() -> bool + Send>;

/// Threads of this process.
pub(crate) struct Threads(Addr<RenderWorker>);

impl Threads {
    /// Starts so many. Needs a running actix system.
    pub(crate) fn start(threads: usize) -> Self {
        Self(start_pool(threads))
    }

    /// Has a task done by one of them.
    pub(crate) async fn hand_over<T: Send + 'static>(
        &self,
        is_awaited: IsAwaited,
        task: Task<T>,
    ) -> Result<T, Refusal> {
        self.0.send(WorkOn { task, is_awaited }).await.unwrap_or(Err(Refusal::Closed))
    }
}

#[async_trait]
impl Bench for Threads {
    async fn look(&self, file: &Bytes, rules: &Rules) -> Result<Header, Refusal> {
        let (file, rules) = (file.clone(), *rules);
        self.hand_over(Box::new(|| true), Box::new(move |_| Header::read(&file, &rules))).await
    }

    async fn work(&self, file: &Bytes, job: Job, is_awaited: IsAwaited) -> Result<Done, Refusal> {
        let file = file.clone();
        self.hand_over(is_awaited, Box::new(move |scratch| work(scratch, &file, &job))).await
    }
}
