//! Bytes that arrive, for those who read them at their own pace, and block.

use std::{
    io::{self, Read},
    time::Duration,
};

use bytes::{Buf, Bytes};
use heliograph_matrix::{Coding, Reason};
use reqwest::Response;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use super::unpack::{Unpacked, Unpacker};

/// Chunks that wait at most: whoever reads is faster than any line.
const CHUNKS: usize = 2;

/// The bytes of an answer, unpacked, within their time.
pub(crate) struct Stream {
    response: Response,
    unpacker: Option<Unpacker>,
    read_timeout: Duration,
    deadline: Instant,
}

impl Stream {
    pub(crate) fn new(response: Response, read_timeout: Duration, deadline: Instant) -> Self {
        let unpacker = (Coding::of(response.headers()) == Coding::Gzip).then(Unpacker::default);
        Self { response, unpacker, read_timeout, deadline }
    }

    /// How many bytes there are in all, if that is known.
    pub(crate) fn declared_bytes(&self) -> Option<u64> {
        self.response.content_length().filter(|_| self.unpacker.is_none())
    }

    /// The next bytes, not empty; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            let Some(unpacker) = &mut self.unpacker else { return self.next_arrived().await };
            match unpacker.next()? {
                Unpacked::Piece(piece) => return Ok(Some(piece)),
                Unpacked::Over => return Ok(None),
                Unpacked::Hungry => {}
            }
            let arrived = self.next_arrived().await?;
            match (&mut self.unpacker, arrived) {
                (Some(unpacker), Some(bytes)) => unpacker.feed(bytes),
                (Some(unpacker), None) => unpacker.finish(),
                (None, arrived) => return Ok(arrived),
            }
        }
    }

    async fn next_arrived(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            let next = timeout_at(self.deadline, timeout(self.read_timeout, self.response.chunk())).await;
            let next = next.map_err(|_| "the answer takes too long")?.map_err(|_| "the answer stands still")?;
            match next.map_err(|error| Reason(&error).to_string())? {
                Some(chunk) if chunk.is_empty() => {}
                chunk => return Ok(chunk),
            }
        }
    }

    /// All of a small answer.
    pub(crate) async fn read_all(mut self, most_bytes: usize) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next().await? {
            if all.len() + chunk.len() > most_bytes {
                return Err("the answer is too large".to_owned());
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// Lets `read` read on a thread where that may block, `begun` first. What it makes of the
    /// bytes, and whether they came to their end or to where nobody wanted more.
    pub(crate) async fn read_by<T: Send + 'static>(
        mut self,
        begun: Option<Bytes>,
        read: impl FnOnce(Chunks) -> T + Send + 'static,
    ) -> Result<(T, bool), String> {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let reading =
            tokio::task::spawn_blocking(move || read(Chunks { rest: begun.unwrap_or_default(), chunks: receiver }));
        let is_whole = loop {
            match self.next().await {
                Ok(Some(chunk)) => {
                    if sender.send(chunk).await.is_err() {
                        break true;
                    }
                }
                Ok(None) => break true,
                Err(reason) => {
                    tracing::debug!(reason, "a page ends early");
                    break false;
                }
            }
        };
        drop(sender);
        let made = reading.await.map_err(|error| format!("the page could not be read: {error}"))?;
        Ok((made, is_whole))
    }
}

/// What blocks until bytes are there.
pub(crate) struct Chunks {
    rest: Bytes,
    chunks: mpsc::Receiver<Bytes>,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.rest = chunk,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
