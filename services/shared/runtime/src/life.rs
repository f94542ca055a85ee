//! From the start of a process to its end: who must be waited for, and in which order.

use std::{
    fmt,
    fmt::Display,
    future::Future,
    io,
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use actix_rt::{Arbiter, ArbiterHandle};
use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::Readiness;

heliograph_settings::settings! {
    /// The process itself.
    pub struct ProcessConfig {
        /// How long requests in progress may go on after the process was asked to end
        /// (SIGTERM, SIGINT); then they are cut off. A second signal cuts them off at once.
        pub shutdown_grace: Duration = Duration::from_secs(30),
        /// How long a process that was asked to end goes on as before, but for `/readyz`, which
        /// says from the first moment that it ends, and for a word with each answer to another
        /// role, which then calls others. Who sends requests here needs that long to notice: in
        /// Kubernetes at least as long as endpoints and names take to change (10s to 30s). Only
        /// then does `process.shutdown_grace` begin. Zero where nobody has to notice, or where a
        /// request that is refused goes to another instance.
        pub drain_delay: Duration = Duration::ZERO,
        /// Threads on which the actors live: uploads in progress, remote origins; at most 1024.
        /// Without it, one per processor, at most four.
        pub actor_threads: Option<NonZeroUsize> = None,
    }
}

/// Background work has at least this long to end, however long the servers took.
const LAST_MOMENT: Duration = Duration::from_secs(5);

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Everything was finished.
    Finished,
    /// The grace was over before everything was finished.
    CutOff,
    /// A server failed while nobody had asked the process to end.
    Failed(String),
}

/// The life of this process. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Life {
    /// Cancelled when the process is asked to end, `process.drain_delay` before `shutdown`: what
    /// comes is still served, and told to go elsewhere next time.
    pub leaving: CancellationToken,
    /// Cancelled when the end begins: accept nothing new, finish what is there.
    pub shutdown: CancellationToken,
    /// Cancelled when nobody is served any more: background work ends.
    pub idle: CancellationToken,
    /// Background work. Its tasks end on `idle`.
    pub tasks: TaskTracker,
    /// The threads on which actors live.
    pub arbiters: Arbiters,
    /// What `/readyz` tells.
    pub readiness: Readiness,
    servers: TaskTracker,
    last_steps: LastSteps,
    failure: Arc<Mutex<Option<String>>>,
    grace: Duration,
    drain_delay: Duration,
}

impl Life {
    /// Begins; inside an actix system.
    pub fn begin(config: &ProcessConfig) -> io::Result<Self> {
        Ok(Self {
            leaving: CancellationToken::new(),
            shutdown: CancellationToken::new(),
            idle: CancellationToken::new(),
            tasks: TaskTracker::new(),
            arbiters: Arbiters::start(config.actor_threads.unwrap_or_else(default_threads))?,
            readiness: Readiness::default(),
            servers: TaskTracker::new(),
            last_steps: LastSteps::default(),
            failure: Arc::default(),
            grace: config.shutdown_grace,
            drain_delay: config.drain_delay,
        })
    }

    /// Runs a server, which must end soon after `shutdown`. If it fails before that, the
    /// process ends.
    pub fn serve<E: Display + 'static>(
        &self,
        name: &'static str,
        server: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.servers.spawn(self.clone().attend(name, self.shutdown.clone(), server));
    }

    /// Runs a server that answers until the very end, and must end soon after `idle`. If it
    /// fails before that, the process ends.
    pub fn serve_to_the_end<E: Display + 'static>(
        &self,
        name: &'static str,
        server: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tasks.spawn(self.clone().attend(name, self.idle.clone(), server));
    }

    async fn attend<E: Display>(
        self,
        name: &'static str,
        until: CancellationToken,
        server: impl Future<Output = Result<(), E>>,
    ) {
        match server.await {
            Err(error) => self.fail(format!("the {name} server failed: {error}")),
            Ok(()) if until.is_cancelled() => {}
            Ok(()) => self.fail(format!("the {name} server ended by itself")),
        }
    }

    /// Does this at the very end, when all tasks have ended or were cut off: such as to send
    /// what they told.
    pub fn at_the_end(&self, step: impl Future<Output = ()> + Send + 'static) {
        self.last_steps.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(step));
    }

    /// Ends the process because something that it cannot go on without has failed.
    pub fn fail(&self, problem: String) {
        tracing::error!("{problem}");
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(problem);
        self.shutdown.cancel();
    }

    /// Says that the end comes, and begins it when those who send requests here have had time to
    /// notice.
    pub async fn leave(&self) {
        self.tell_leaving();
        let failed = self.shutdown.cancelled();
        let _ = tokio::time::timeout(self.drain_delay, failed).await;
        self.shutdown.cancel();
    }

    fn tell_leaving(&self) {
        self.readiness.drain();
        self.leaving.cancel();
    }

    /// Ends, in order: not ready, accept nothing, finish requests, end background work, stop
    /// the actors' threads, take the last steps.
    pub async fn end(&self) -> Ended {
        self.tell_leaving();
        self.shutdown.cancel();
        let deadline = Instant::now() + self.grace;
        self.servers.close();
        let served = timeout_at(deadline, self.servers.wait()).await.is_ok();
        self.idle.cancel();
        self.tasks.close();
        let finished = timeout_at(deadline.max(Instant::now() + LAST_MOMENT), self.tasks.wait()).await.is_ok();
        self.arbiters.stop();
        if !(served && finished) {
            tracing::warn!(requests_finished = served, "the grace is over: what was in progress is cut off");
        }
        self.take_last_steps().await;
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(problem) => Ended::Failed(problem),
            None if served && finished => Ended::Finished,
            None => Ended::CutOff,
        }
    }

    async fn take_last_steps(&self) {
        let steps = std::mem::take(&mut *self.last_steps.0.lock().unwrap_or_else(PoisonError::into_inner));
        let deadline = Instant::now() + LAST_MOMENT;
        for step in steps {
            if timeout_at(deadline, step).await.is_err() {
                tracing::warn!("the end takes too long: not everything was put away");
            }
        }
    }
}

type Step = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is done at the very end, in this order.
#[derive(Clone, Default)]
struct LastSteps(Arc<Mutex<Vec<Step>>>);

impl fmt::Debug for LastSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastSteps")
    }
}

fn default_threads() -> NonZeroUsize {
    const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);
    thread::available_parallelism().map_or(NonZeroUsize::MIN, |count| count.min(MOST))
}

/// The threads on which actors live. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Arbiters {
    arbiters: Arc<[Arbiter]>,
    next: Arc<AtomicUsize>,
}

impl Arbiters {
    /// Starts that many threads; inside an actix system.
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        let arbiters = (0..count.get()).map(|_| Arbiter::try_new()).collect::<io::Result<_>>()?;
        Ok(Self { arbiters, next: Arc::default() })
    }

    /// A thread for a new actor: each in turn.
    pub fn pick(&self) -> ArbiterHandle {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.arbiters[next % self.arbiters.len()].handle()
    }

    /// All of them, for who spreads actors itself.
    pub fn handles(&self) -> Vec<ArbiterHandle> {
        self.arbiters.iter().map(Arbiter::handle).collect()
    }

    fn stop(&self) {
        for arbiter in self.arbiters.iter() {
            arbiter.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn life(grace: Duration) -> Life {
        let config = ProcessConfig {
            shutdown_grace: grace,
            drain_delay: Duration::from_secs(5),
            actor_threads: NonZeroUsize::new(2),
        };
        Life::begin(&config).unwrap()
    }

    #[actix_rt::test]
    async fn who_leaves_says_so_at_once_and_goes_on_for_a_while() {
        tokio::time::pause();
        let (life, began_at) = (life(Duration::ZERO), Instant::now());

        let noticed = async {
            life.leaving.cancelled().await;
            assert!(life.readiness.report().await.draining && !life.shutdown.is_cancelled());
        };
        tokio::join!(life.leave(), noticed);

        assert!(life.shutdown.is_cancelled());
        assert!(began_at.elapsed() >= Duration::from_secs(5));
    }

    #[actix_rt::test]
    async fn who_fails_while_it_leaves_ends_at_once() {
        tokio::time::pause();
        let (life, began_at) = (life(Duration::ZERO), Instant::now());

        tokio::join!(life.leave(), async { life.fail("no more files".to_owned()) });

        assert_eq!(began_at.elapsed(), Duration::ZERO);
    }

    #[actix_rt::test]
    async fn background_work_ends_only_after_the_servers() {
        let life = life(Duration::from_secs(30));
        let (finish, finished) = oneshot::channel::<()>();
        let server = life.clone();
        life.serve("test", async move {
            server.shutdown.cancelled().await;
            let _ = finished.await;
            assert!(!server.idle.is_cancelled());
            Ok::<_, io::Error>(())
        });
        let background = life.idle.clone();
        life.tasks.spawn(async move { background.cancelled().await });

        let (ended, ()) = tokio::join!(life.end(), async {
            life.shutdown.cancelled().await;
            finish.send(()).unwrap();
        });

        assert_eq!(ended, Ended::Finished);
    }

    #[actix_rt::test]
    async fn the_last_steps_come_in_order_after_all_tasks() {
        let life = life(Duration::from_secs(30));
        let done = Arc::new(Mutex::new(Vec::new()));
        for name in ["first", "second"] {
            let done = Arc::clone(&done);
            life.at_the_end(async move { done.lock().unwrap().push(name) });
        }
        let (idle, noted) = (life.idle.clone(), Arc::clone(&done));
        life.tasks.spawn(async move {
            idle.cancelled().await;
            tokio::task::yield_now().await;
            noted.lock().unwrap().push("task");
        });

        life.end().await;

        assert_eq!(*done.lock().unwrap(), ["task", "first", "second"]);
    }

    #[actix_rt::test]
    async fn a_server_to_the_end_does_not_delay_the_end() {
        let life = life(Duration::from_secs(30));
        let idle = life.idle.clone();
        life.serve_to_the_end("test", async move {
            idle.cancelled().await;
            Ok::<_, io::Error>(())
        });

        assert_eq!(life.end().await, Ended::Finished);
    }

    #[actix_rt::test]
    async fn the_grace_bounds_the_end() {
        let life = life(Duration::ZERO);
        life.serve("test", std::future::pending::<io::Result<()>>());

        assert_eq!(life.end().await, Ended::CutOff);
    }

    #[actix_rt::test]
    async fn a_server_that_fails_ends_the_process() {
        let life = life(Duration::from_secs(30));
        life.serve("test", async { Err("no more files") });

        life.shutdown.cancelled().await;

        assert_eq!(life.end().await, Ended::Failed("the test server failed: no more files".to_owned()));
    }

    #[actix_rt::test]
    async fn actors_are_spread_over_the_threads() {
        let life = life(Duration::ZERO);
        let mut threads = Vec::new();
        for _ in 0..4 {
            let (tell, told) = oneshot::channel();
            life.arbiters.pick().spawn_fn(move || tell.send(thread::current().id()).unwrap());
            threads.push(told.await.unwrap());
        }

        assert_ne!(threads[0], threads[1]);
        assert_eq!(threads[..2], threads[2..]);
    }
}
