//! A body on its way from a client to the core or to the bucket.
//!
//! Its pieces go through a short channel: what is not taken yet is not read. The other side
//! sees its end only if it was told: if whoever feeds it is gone before, the request breaks off
//! there, and is no shorter upload.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use actix_web::web::Payload;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use crate::{error::EdgeError, metrics};

/// Pieces in the channel, about 32 KiB each.
const PIECES: usize = 4;

enum Part {
    Piece(Bytes),
    End,
}

/// The end of the channel that is fed.
pub(crate) struct Feed {
    parts: mpsc::Sender<Part>,
    fed_bytes: AtomicU64,
}

/// The end of the channel that a request sends.
pub(crate) struct Feedable(mpsc::Receiver<Part>);

/// A body that can be fed.
pub(crate) fn channel() -> (Feed, Feedable) {
    let (parts, taken) = mpsc::channel(PIECES);
    (Feed { parts, fed_bytes: AtomicU64::new(0) }, Feedable(taken))
}

impl Feedable {
    pub(crate) fn into_body(self) -> reqwest::Body {
        reqwest::Body::wrap_stream(self.into_stream())
    }

    fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold(Some(self.0), |parts| async move {
            let mut parts = parts?;
            match parts.recv().await {
                Some(Part::Piece(piece)) => Some((Ok(piece), Some(parts))),
                Some(Part::End) => None,
                None => Some((Err(io::ErrorKind::BrokenPipe.into()), None)),
            }
        })
    }
}

/// How feeding a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fed {
    /// All of it was taken.
    Whole,
    /// The other side takes no more.
    Refused,
}

impl Feed {
    /// Feeds all of a client's body, which may not stand still for long.
    pub(crate) async fn feed(&self, body: &mut Payload, patience: Duration) -> Result<Fed, EdgeError> {
        while let Some(piece) = next_piece(body, patience).await? {
            self.fed_bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if !self.pass(Part::Piece(piece), patience).await? {
                return Ok(Fed::Refused);
            }
        }
        let taken = self.pass(Part::End, patience).await?;
        Ok(if taken { Fed::Whole } else { Fed::Refused })
    }

    /// How much of the body was fed so far.
    pub(crate) fn fed_bytes(&self) -> u64 {
        self.fed_bytes.load(Ordering::Relaxed)
    }

    async fn pass(&self, part: Part, patience: Duration) -> Result<bool, EdgeError> {
        let sent = tokio::time::timeout(patience, self.parts.send(part)).await;
        sent.map(|sent| sent.is_ok()).map_err(|_| {
            metrics::limited("body_timeout");
            EdgeError::BadGateway
        })
    }
}

async fn next_piece(body: &mut Payload, patience: Duration) -> Result<Option<Bytes>, EdgeError> {
    let Ok(piece) = tokio::time::timeout(patience, body.next()).await else {
        metrics::limited("body_timeout");
        return Err(EdgeError::BrokenBody);
    };
    piece.transpose().map_err(|error| {
        tracing::debug!(%error, "a body broke off");
        EdgeError::BrokenBody
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn taken(parts: Vec<Part>) -> Vec<bool> {
        let (feed, sent) = channel();
        for part in parts {
            feed.parts.send(part).await.unwrap();
        }
        drop(feed);
        sent.into_stream().map(|piece| piece.is_ok()).collect().await
    }

    #[tokio::test]
    async fn a_body_whose_end_was_not_told_is_broken() {
        let piece = || Part::Piece(Bytes::from_static(b"x"));

        assert_eq!(taken(vec![piece(), Part::End]).await, [true]);
        assert_eq!(taken(vec![piece()]).await, [true, false]);
        assert_eq!(taken(vec![]).await, [false]);
    }
}
