//! Requests to a bucket run where the process runs, whoever waits for the answer.
//!
//! The threads of the HTTP front have runtimes of their own, and a connection ends with the
//! runtime that opened it. `object_store` can move requests too, but puts no bound on what of
//! an answer waits in memory; this does.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
        ReqwestConnector,
    },
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tokio_util::task::AbortOnDropHandle;

/// Pieces of an answer that wait for its reader, a few KiB each.
const WAITING_PIECES: usize = 4;

type Head = Result<http::response::Parts, HttpError>;
type Frame = Result<http_body::Frame<Bytes>, HttpError>;

type Arriving = (mpsc::Receiver<Frame>, AbortOnDropHandle<()>);

/// Makes clients whose requests run on one runtime.
#[derive(Debug)]
pub(super) struct Connector(pub(super) Handle);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Moved { client, runtime: self.0.clone() }))
    }
}

#[derive(Debug)]
struct Moved {
    client: HttpClient,
    runtime: Handle,
}

#[async_trait]
impl HttpService for Moved {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (answer, answered) = oneshot::channel();
        let (sender, pieces) = mpsc::channel(WAITING_PIECES);
        let running = self.runtime.spawn(run(self.client.clone(), request, answer, sender));
        // Who no longer waits, or reads, ends the request.
        let running = AbortOnDropHandle::new(running);
        let head = answered.await.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))??;
        let pieces = stream::unfold(Some((pieces, running)), next_piece).fuse();
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(StreamBody::new(pieces))))
    }
}

/// The next piece. An answer whose request has died is not one that has ended.
async fn next_piece(arriving: Option<Arriving>) -> Option<(Frame, Option<Arriving>)> {
    let (mut pieces, running) = arriving?;
    if let Some(piece) = pieces.recv().await {
        return Some((piece, Some((pieces, running))));
    }
    let error = running.await.err()?;
    Some((Err(HttpError::new(HttpErrorKind::Interrupted, error)), None))
}

async fn run(client: HttpClient, request: HttpRequest, answer: oneshot::Sender<Head>, pieces: mpsc::Sender<Frame>) {
    let (head, mut body) = match client.execute(request).await {
        Ok(response) => response.into_parts(),
        // An error means that nobody waits any more.
        Err(error) => return drop(answer.send(Err(error))),
    };
    if answer.send(Ok(head)).is_err() {
        return;
    }
    while let Some(piece) = body.frame().await {
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::*;

    /// A server that sends pieces for ever, or until its request dies.
    #[derive(Debug, Clone)]
    struct Source {
        sent: Arc<AtomicUsize>,
        dies_after: usize,
    }

    #[async_trait]
    impl HttpService for Source {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            let source = self.clone();
            let pieces = stream::repeat_with(move || {
                let sent = source.sent.fetch_add(1, Ordering::SeqCst);
                assert!(sent < source.dies_after, "the request dies");
                Ok(http_body::Frame::data(Bytes::from_static(b"piece")))
            });
            Ok(HttpResponse::new(HttpResponseBody::new(StreamBody::new(pieces))))
        }
    }

    async fn call(source: &Source) -> HttpResponseBody {
        let moved = Moved { client: HttpClient::new(source.clone()), runtime: Handle::current() };
        let request = http::Request::new(Bytes::new().into());
        moved.call(request).await.unwrap().into_body()
    }

    fn source(dies_after: usize) -> Source {
        Source { sent: Arc::default(), dies_after }
    }

    /// Long enough for everything that can go on without time passing.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_a_slow_reader_has_not_read_is_not_asked_for() {
        let source = source(usize::MAX);

        let mut body = call(&source).await;
        settle().await;
        let before = source.sent.load(Ordering::SeqCst);
        body.frame().await.unwrap().unwrap();
        settle().await;

        assert_eq!(before, WAITING_PIECES + 1);
        assert_eq!(source.sent.load(Ordering::SeqCst), WAITING_PIECES + 2);
    }

    #[tokio::test]
    async fn a_reader_that_leaves_ends_the_request() {
        let source = source(usize::MAX);

        drop(call(&source).await);
        settle().await;

        assert_eq!(Arc::strong_count(&source.sent), 1, "the request goes on");
    }

    #[tokio::test]
    async fn an_answer_whose_request_has_died_is_not_complete() {
        let mut body = call(&source(2)).await;
        let deadline = Duration::from_secs(5);

        let mut pieces = Vec::new();
        while let Some(piece) = tokio::time::timeout(deadline, body.frame()).await.unwrap() {
            pieces.push(piece.is_ok());
        }

        assert_eq!(pieces, [true, true, false]);
    }
}
