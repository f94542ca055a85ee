//! A fetch at another instance that may end in its midst: then it is asked for again, where the
//! key of its origin leads by then, and what the caller has already is skipped.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use heliograph_types::{ErrorCode, Failure};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status, Streaming};

use crate::{
    Differs, Fetch, Pool, RemoteHead, RemoteMedia, Seam,
    federation::{Calls, by_origin},
    status::{is_told, missing, to_failure},
    wire::federation::{FetchRequest, FetchResponse, fetch_response::Event},
};

type Events = Streaming<FetchResponse>;

/// How long to wait before each further try; there are no more.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// Asks, and answers when the head has arrived.
pub(crate) async fn fetch(pool: Pool, request: Fetch) -> Result<RemoteMedia, Failure> {
    let mut asker = Asker { pool, request, began_at: Instant::now(), tries: 0 };
    let (head, events) = asker.open().await?;
    let body = Body { asker, head: head.clone(), events, seam: Seam::default() };
    let body = stream::try_unfold(body, |mut body| async { Ok(body.next().await?.map(|piece| (piece, body))) });
    let RemoteHead { content_type, file_name, size_bytes } = head;
    Ok(RemoteMedia { content_type, file_name, size_bytes, body: Box::pin(body) })
}

/// Asks for one medium, as often as it may.
struct Asker {
    pool: Pool,
    request: Fetch,
    began_at: Instant,
    /// Further ones.
    tries: usize,
}

impl Asker {
    /// The head, and what follows it.
    async fn open(&mut self) -> Result<(RemoteHead, Events), Failure> {
        loop {
            match self.try_open().await {
                Ok(opened) => return Ok(opened),
                Err(status) => self.pause_after(status).await?,
            }
        }
    }

    async fn try_open(&mut self) -> Result<(RemoteHead, Events), Status> {
        let timeout = self.request.timeout.saturating_sub(self.began_at.elapsed());
        let request = FetchRequest::from(&Fetch { timeout, ..self.request.clone() });
        let route = by_origin(&self.request.mxc.server_name);
        let method = |connection, request| async move { Calls::new(connection).fetch(request).await };
        let mut events = self.pool.call(&route, request, method).await?;
        match events.message().await?.and_then(|message| message.event) {
            Some(Event::Head(head)) => Ok((head.try_into()?, events)),
            _ => Err(missing("head")),
        }
    }

    /// Whether to ask again after this: then some time has passed.
    async fn pause_after(&mut self, status: Status) -> Result<(), Failure> {
        match PAUSES.get(self.tries).filter(|_| is_broken(&status)) {
            Some(pause) => {
                tracing::info!(mxc = %self.request.mxc, reason = status.message(), "a fetch broke off: asking again");
                self.tries += 1;
                sleep(*pause).await;
                Ok(())
            }
            None => Err(to_failure(status)),
        }
    }
}

/// Whether the connection broke, or there was none: another instance may be reached instead.
fn is_broken(status: &Status) -> bool {
    !is_told(status) && matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal)
}

/// The bytes, from however many answers.
struct Body {
    asker: Asker,
    head: RemoteHead,
    events: Events,
    seam: Seam,
}

impl Body {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.events.message().await {
                Ok(None) => return self.seam.finish().map(|()| None).map_err(differs),
                Ok(Some(FetchResponse { event: Some(Event::Chunk(chunk)) })) => {
                    let piece = self.seam.pass(chunk).map_err(differs)?;
                    if !piece.is_empty() {
                        return Ok(Some(piece));
                    }
                }
                Ok(Some(_)) => return Err(to_failure(missing("chunk"))),
                Err(status) => self.ask_again(status).await?,
            }
        }
    }

    async fn ask_again(&mut self, status: Status) -> Result<(), Failure> {
        self.asker.pause_after(status).await?;
        let (head, events) = self.asker.open().await?;
        // A copy that is stored by now has a size, even if the origin did not tell it.
        let same_size = self.head.size_bytes.is_none_or(|size| head.size_bytes.is_none_or(|now| now == size));
        if !same_size || head.content_type != self.head.content_type {
            return Err(differs(Differs));
        }
        self.seam.restart();
        self.events = events;
        Ok(())
    }
}

fn differs(error: Differs) -> Failure {
    Failure::new(ErrorCode::BadGateway, error.to_string())
}
