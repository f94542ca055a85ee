//! Work that must not be given up half-way because its client leaves.

use std::future::Future;

use heliograph_types::Failure;
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Where such work goes on: on the runtime of the process, not on the thread of the
/// connection; shutdown waits for it.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) tasks: TaskTracker,
    pub(crate) runtime: Handle,
}

impl Work {
    /// Begins work that nobody waits for.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.tasks.spawn_on(work.in_current_span(), &self.runtime)
    }

    /// Waits for work that goes on even if the caller stops to wait. What it yields then is
    /// dropped.
    pub(crate) async fn run_to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let outcome = self.spawn(work).await;
        outcome.unwrap_or_else(|error| Err(Failure::internal(format!("the work was not done: {error}"))))
    }
}
