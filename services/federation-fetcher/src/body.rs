//! The bytes of one answer, within the limits of size and time.

use std::time::Duration;

use bytes::Bytes;
use heliograph_matrix::Reason;
use reqwest::{
    Response, Version,
    header::{HeaderMap, TRANSFER_ENCODING},
};
use tokio::time::{Instant, timeout};

use crate::{
    pace::{Floor, Pace},
    phase::Phase,
    verdict::FetchError,
};

/// What content may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) most_bytes: u64,
    /// Without a byte for so long the origin counts as gone.
    pub(crate) read_timeout: Duration,
    /// Below this rate it is given up.
    pub(crate) floor: Floor,
}

/// Only if it is the last coding do chunks tell where the end is.
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back().and_then(|codings| codings.to_str().ok());
    last.and_then(|codings| codings.rsplit(',').next())
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// The bytes of an answer, wrapping and all.
#[derive(Debug)]
pub(crate) struct Body {
    response: Response,
    read_timeout: Duration,
    pace: Pace,
    bytes_left: u64,
    /// Its length, if it was told.
    pub(crate) length: Option<u64>,
    /// Whether its end is told by more than the end of the connection.
    pub(crate) is_framed: bool,
    is_over: bool,
    /// Whether it ended, or paused, before it should have. What is sent too slowly does not
    /// count: that is not to be tried again.
    pub(crate) broke_off: bool,
}

impl Body {
    pub(crate) fn new(response: Response, limits: Limits, wrapping_bytes: u64) -> Result<Self, FetchError> {
        let bytes_left = limits.most_bytes.saturating_add(wrapping_bytes);
        if response.content_length().is_some_and(|length| length > bytes_left) {
            return Err(FetchError::too_large());
        }
        let is_framed = response.content_length().is_some()
            || is_chunked(response.headers())
            || response.version() == Version::HTTP_2;
        Ok(Self {
            read_timeout: limits.read_timeout,
            pace: Pace::new(limits.floor),
            bytes_left,
            length: response.content_length(),
            response,
            is_framed,
            is_over: false,
            broke_off: false,
        })
    }

    /// The next bytes, not empty; `None` at the end of a complete answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while !self.is_over {
            let asked_at = Instant::now();
            let chunk = self.next_chunk().await;
            self.broke_off = chunk.is_err();
            let Some(chunk) = chunk? else {
                self.is_over = true;
                break;
            };
            if !self.pace.keeps_up(asked_at.elapsed(), chunk.len() as u64) {
                return Err(Phase::Rate.late());
            }
            self.bytes_left = self.bytes_left.checked_sub(chunk.len() as u64).ok_or_else(FetchError::too_large)?;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let chunk = timeout(self.read_timeout, self.response.chunk()).await;
        let chunk = chunk.map_err(|_| Phase::Idle.late())?;
        chunk.map_err(|error| FetchError::broke_off(Reason(&error).to_string()))
    }
}
