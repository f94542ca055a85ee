//! Whether this process can do its work: what it depends on, asked by name.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::{sync::Mutex as AsyncMutex, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// A dependency that is slower than this counts as failing.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the dependencies are asked when nobody else does.
const WATCH_INTERVAL: Duration = Duration::from_secs(10);

/// For so long a report is shown again: asking often must not load the dependencies.
const REPORT_AGE: Duration = Duration::from_millis(500);

type Answer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Ask = dyn Fn() -> Answer + Send + Sync;

/// What a process depends on. Clones are the same one.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Inner>);

#[derive(Default)]
struct Inner {
    checks: Mutex<Vec<Check>>,
    draining: AtomicBool,
    last: AsyncMutex<Option<(Instant, Report)>>,
}

#[derive(Clone)]
struct Check {
    name: &'static str,
    advice: String,
    required: bool,
    ask: Arc<Ask>,
}

/// The answer of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether requests should come here.
    pub ready: bool,
    /// True from the first signal on.
    pub draining: bool,
    /// Dependencies that answer.
    pub ok: Vec<&'static str>,
    /// Dependencies without which nothing works, and what is wrong.
    pub failing: BTreeMap<&'static str, String>,
    /// Dependencies without which we go on with less, and what is wrong.
    pub degraded: BTreeMap<&'static str, String>,
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("draining", &self.0.draining).finish_non_exhaustive()
    }
}

impl Readiness {
    /// Registers a dependency without which this process is not ready. `advice` tells the
    /// operator what to do when it fails.
    pub fn require<F>(&self, name: &'static str, advice: &str, ask: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add(name, advice, true, ask);
    }

    /// Registers a dependency without which this process goes on with less.
    pub fn prefer<F>(&self, name: &'static str, advice: &str, ask: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add(name, advice, false, ask);
    }

    fn add<F>(&self, name: &'static str, advice: &str, required: bool, ask: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let ask: Arc<Ask> = Arc::new(move || Box::pin(ask()));
        let check = Check { name, advice: advice.to_owned(), required, ask };
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner).push(check);
    }

    /// From now on this process is not ready: it is ending.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
    }

    /// Whether this process is ending.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }

    /// Asks all dependencies. Logs each that has failed or come back since the last time.
    pub async fn report(&self) -> Report {
        let mut last = self.0.last.lock().await;
        let fresh = last.as_ref().filter(|(at, _)| at.elapsed() < REPORT_AGE).map(|(_, report)| report.clone());
        let report = if let Some(report) = fresh {
            report
        } else {
            let report = self.ask_all().await;
            log_changes(last.as_ref().map(|(_, report)| report), &report);
            *last = Some((Instant::now(), report.clone()));
            report
        };
        let draining = self.is_draining();
        Report { ready: report.ready && !draining, draining, ..report }
    }

    /// Asks from time to time, so that the logs tell of a lost dependency although nobody
    /// asks us. A background task.
    pub async fn watch(self, idle: CancellationToken) {
        loop {
            self.report().await;
            if idle.run_until_cancelled(tokio::time::sleep(WATCH_INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    async fn ask_all(&self) -> Report {
        let checks = self.0.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut answers: JoinSet<_> = checks.into_iter().map(ask).collect();
        let mut report =
            Report { ready: true, draining: false, ok: vec![], failing: BTreeMap::new(), degraded: BTreeMap::new() };
        while let Some(answer) = answers.join_next().await {
            match answer {
                Ok((check, Ok(()))) => report.ok.push(check.name),
                Ok((check, Err(message))) => {
                    let list = if check.required { &mut report.failing } else { &mut report.degraded };
                    list.insert(check.name, format!("{message}: {}", check.advice));
                }
                Err(panic) => {
                    report.failing.insert("check", panic.to_string());
                }
            }
        }
        report.ok.sort_unstable();
        report.ready = report.failing.is_empty();
        report
    }
}

async fn ask(check: Check) -> (Check, Result<(), String>) {
    let answer = tokio::time::timeout(CHECK_TIMEOUT, (check.ask)()).await;
    let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())));
    (check, answer)
}

fn log_changes(before: Option<&Report>, now: &Report) {
    let was_wrong = |name: &str| {
        before.is_some_and(|report| report.failing.contains_key(name) || report.degraded.contains_key(name))
    };
    for (name, message) in now.failing.iter().chain(&now.degraded) {
        if !was_wrong(name) {
            tracing::warn!(dependency = name, "{name}: {message}");
        }
    }
    for name in now.ok.iter().filter(|name| was_wrong(name)) {
        tracing::info!(dependency = name, "{name} answers again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_failing_dependency_is_named_with_what_to_do() {
        let readiness = Readiness::default();
        readiness.require("store", "check its permissions", || async { Err("access denied".to_owned()) });
        readiness.prefer("redis", "start it", || async { Err("connection refused".to_owned()) });
        readiness.require("key", "", || async { Ok(()) });

        let report = readiness.report().await;

        assert!(!report.ready);
        assert_eq!(report.ok, ["key"]);
        assert_eq!(report.failing["store"], "access denied: check its permissions");
        assert_eq!(report.degraded["redis"], "connection refused: start it");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_preferred_dependency_we_are_ready() {
        let readiness = Readiness::default();
        readiness.prefer("redis", "start it", || async { Err("connection refused".to_owned()) });

        assert!(readiness.report().await.ready);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_does_not_answer_is_failing() {
        let readiness = Readiness::default();
        readiness.require("store", "look at the network", std::future::pending);

        let report = readiness.report().await;

        assert_eq!(report.failing["store"], "no answer within 3 s: look at the network");
    }

    #[tokio::test(start_paused = true)]
    async fn asking_often_does_not_load_the_dependencies_but_changes_are_seen() {
        let asked = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&asked);
        let readiness = Readiness::default();
        readiness.require("store", "", move || {
            let mut count = counter.lock().unwrap();
            *count += 1;
            std::future::ready(if *count > 1 { Err("gone".to_owned()) } else { Ok(()) })
        });

        assert!(readiness.report().await.ready);
        assert!(readiness.report().await.ready);
        assert_eq!(*asked.lock().unwrap(), 1);

        tokio::time::advance(REPORT_AGE).await;
        assert!(!readiness.report().await.ready);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_ends_is_not_ready_at_once() {
        let readiness = Readiness::default();
        assert!(readiness.report().await.ready);

        readiness.drain();

        let report = readiness.report().await;
        assert!(!report.ready && report.draining);
    }
}
