//! How the S3 server of the tests behaves today.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, Method, Request, Response, StatusCode, header::IF_NONE_MATCH};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// What is done to every request before it is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Conduct(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Answered to everything; 0 for what is right.
    status: AtomicU16,
    delay_ms: AtomicU64,
    copy_delay_ms: AtomicU64,
    decides: AtomicBool,
    turn: Arc<Mutex<()>>,
}

impl Conduct {
    pub(super) fn answer(&self, status: Option<u16>) {
        self.0.status.store(status.unwrap_or_default(), Ordering::Relaxed);
    }

    pub(super) fn delay(&self, delay: Duration) {
        self.0.delay_ms.store(millis(delay), Ordering::Relaxed);
    }

    pub(super) fn delay_copies(&self, delay: Duration) {
        self.0.copy_delay_ms.store(millis(delay), Ordering::Relaxed);
    }

    pub(super) fn decide(&self) {
        self.0.decides.store(true, Ordering::Relaxed);
    }

    /// Waits as long as this request is to wait.
    pub(super) async fn wait<B>(&self, request: &Request<B>) {
        let is_copy = request.headers().contains_key("x-amz-copy-source");
        let copy_ms = if is_copy { self.0.copy_delay_ms.load(Ordering::Relaxed) } else { 0 };
        let delay_ms = copy_ms + self.0.delay_ms.load(Ordering::Relaxed);
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
    }

    /// The answer to everything, if there is one.
    pub(super) fn refusal(&self) -> Option<Response<s3s::Body>> {
        let status = StatusCode::from_u16(self.0.status.load(Ordering::Relaxed)).ok()?;
        let code = if status == StatusCode::SERVICE_UNAVAILABLE { "SlowDown" } else { "InternalError" };
        let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>a test</Message></Error>");
        let mut answer = Response::new(s3s::Body::from(text));
        *answer.status_mut() = status;
        Some(answer)
    }

    /// If this store decides which of several creates wins, they come one after the other.
    pub(super) async fn turn(&self, method: &Method, headers: &HeaderMap) -> Option<OwnedMutexGuard<()>> {
        let is_create = *method == Method::PUT && headers.contains_key(IF_NONE_MATCH);
        if !(is_create && self.0.decides.load(Ordering::Relaxed)) {
            return None;
        }
        Some(Arc::clone(&self.0.turn).lock_owned().await)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
