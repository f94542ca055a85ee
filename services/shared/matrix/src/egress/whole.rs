//! The body of an answer, whose end is one only if the protocol says so.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};

type BoxError = Box<dyn Error + Send + Sync>;

/// The stream was reset without an error (`NO_ERROR`), which the library takes for an end.
/// Nothing tells then how much is missing.
#[derive(Debug, thiserror::Error)]
#[error("the stream was reset before its end")]
struct Reset;

/// A body that fails where HTTP/2 was told of no end.
#[derive(Debug)]
pub(super) struct Whole<B> {
    body: B,
    version: Version,
    is_over: bool,
}

impl<B> Whole<B> {
    pub(super) fn new(body: B, version: Version) -> Self {
        Self { body, version, is_over: false }
    }
}

impl<B> Body for Whole<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.is_over = frame.is_none();
        let was_told = self.version != Version::HTTP_2 || self.body.is_end_stream();
        Poll::Ready(match frame {
            None if !was_told => Some(Err(Reset.into())),
            frame => frame.map(|frame| frame.map_err(Into::into)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    async fn read<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin>(body: B, version: Version) -> Option<Bytes> {
        Whole::new(body, version).collect().await.ok().map(http_body_util::Collected::to_bytes)
    }

    /// One that ends and does not say so.
    fn reset() -> impl Body<Data = Bytes, Error = BoxError> + Unpin {
        StreamBody::new(stream::iter([Ok(Frame::data(Bytes::from_static(b"half")))]))
    }

    #[tokio::test]
    async fn a_stream_that_is_reset_without_an_error_has_not_ended() {
        let whole = Bytes::from_static(b"whole");

        assert_eq!(read(reset(), Version::HTTP_2).await, None);
        assert_eq!(read(Full::new(whole.clone()), Version::HTTP_2).await, Some(whole));
        // There the library looks at chunks and lengths by itself.
        assert_eq!(read(reset(), Version::HTTP_11).await, Some(Bytes::from_static(b"half")));
    }
}
