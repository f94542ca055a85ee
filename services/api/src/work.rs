//! Work that must not be given up half-way because its client leaves.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use heliograph_types::Failure;
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
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
    ///
    /// As long as the caller waits, it is done on the caller's thread: no other one need be woken for it.
    pub(crate) async fn run_to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let work = AssertUnwindSafe(work.in_current_span()).catch_unwind();
        let outcome = ToTheEnd { _counted: self.tasks.token(), place: self, work: Some(Box::pin(work)) }.await;
        outcome.unwrap_or_else(|_| Err(Failure::internal("the work was not done: it panicked")))
    }
}

/// Moves to the runtime of the process if it is dropped before it has ended.
struct ToTheEnd<'a, T: Send + 'static> {
    _counted: TaskTrackerToken,
    place: &'a Work,
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
}

impl<T: Send + 'static> Future for ToTheEnd<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Timers and the like belong to where it may go on.
        let _entered = self.place.runtime.enter();
        let Some(work) = &mut self.work else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<'_, T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            // Nobody waits for what it yields.
            drop(self.place.tasks.spawn_on(work, &self.place.runtime));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    use tokio::sync::oneshot;

    use super::*;

    fn work() -> Work {
        Work { tasks: TaskTracker::new(), runtime: Handle::current() }
    }

    #[tokio::test]
    async fn work_goes_on_when_its_caller_is_gone_and_shutdown_waits_for_it() {
        let (work, is_done) = (work(), Arc::new(AtomicBool::new(false)));
        let (go_on, told) = oneshot::channel::<()>();
        let done = Arc::clone(&is_done);
        let mut asked = Box::pin(work.run_to_the_end(async move {
            told.await.map_err(|_| Failure::not_found())?;
            tokio::time::sleep(Duration::from_millis(1)).await;
            done.store(true, Ordering::SeqCst);
            Ok(())
        }));

        assert!(futures_util::poll!(&mut asked).is_pending());
        drop(asked);
        go_on.send(()).unwrap();
        work.tasks.close();
        work.tasks.wait().await;

        assert!(is_done.load(Ordering::SeqCst));
    }

    #[test]
    fn timers_of_work_outlive_the_runtime_of_its_caller() {
        let ours = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let work = Work { tasks: TaskTracker::new(), runtime: ours.handle().clone() };
        let (ended, mut is_ended) = oneshot::channel();
        let of_connection = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

        of_connection.block_on(async {
            let mut asked = Box::pin(work.run_to_the_end(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                ended.send(()).map_err(|()| Failure::not_found())
            }));
            assert!(futures_util::poll!(&mut asked).is_pending());
        });
        drop(of_connection);
        work.tasks.close();
        ours.block_on(work.tasks.wait());

        assert_eq!(is_ended.try_recv(), Ok(()));
    }

    #[tokio::test]
    async fn shutdown_waits_for_what_is_waited_for() {
        let work = work();
        let (go_on, told) = oneshot::channel::<()>();
        let mut asked = Box::pin(work.run_to_the_end(async move { told.await.map_err(|_| Failure::not_found()) }));
        assert!(futures_util::poll!(&mut asked).is_pending());

        work.tasks.close();
        assert!(futures_util::poll!(std::pin::pin!(work.tasks.wait())).is_pending());
        go_on.send(()).unwrap();

        assert_eq!(asked.await, Ok(()));
        work.tasks.wait().await;
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        let outcome = work().run_to_the_end::<()>(async { panic!("made up") }).await;

        assert_eq!(outcome.unwrap_err().code, heliograph_types::ErrorCode::Internal);
    }
}
