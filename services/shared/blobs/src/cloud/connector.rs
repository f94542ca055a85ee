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
