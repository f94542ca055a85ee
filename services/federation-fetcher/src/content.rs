//! The content of a good answer, piece by piece, within the limits.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use heliograph_matrix::Reason;
use heliograph_types::ContentType;
use reqwest::{
    Response, Version,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING},
};
use tokio::time::timeout;

use crate::{
    disposition::read_file_name,
    flight::Head,
    multipart::{Event, InvalidMultipart, Parser, PartHead},
    verdict::FetchError,
};

/// What a multipart answer may have besides the content.
const MOST_WRAPPING_BYTES: u64 = 256 << 10;

/// What content may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) most_bytes: u64,
    /// Without a byte for so long the origin counts as gone.
    pub(crate) read_timeout: Duration,
}

/// Content that is arriving.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) head: Head,
    body: Body,
    parser: Option<Parser>,
    pieces: VecDeque<Bytes>,
    most_bytes: u64,
    taken_bytes: u64,
}

/// What a federation answer leads to.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The content itself.
    Here(Box<Content>),
    /// A URL where it is.
    Elsewhere(String),
}

impl Content {
    /// The body of `response` is the content.
    ///
    /// Without a length and not in chunks, it is over when the connection is. That counts as
    /// complete only if TLS was closed as it should be (RFC 9112, section 9.8): who cuts the
    /// connection cannot do that, and the HTTP library reports it as an error.
    pub(crate) fn plain(response: Response, limits: Limits) -> Result<Self, FetchError> {
        let headers = response.headers();
        let head = Head {
            content_type: text(headers, CONTENT_TYPE.as_str())
                .map_or_else(ContentType::octet_stream, ContentType::parse_or_octet_stream),
            file_name: headers.get(CONTENT_DISPOSITION).and_then(|value| read_file_name(value.as_bytes())),
            size_bytes: response.content_length(),
        };
        Self::new(head, Body::new(response, limits, 0)?, None, limits)
    }

    /// The body of `response` is multipart: reads until the content begins.
    pub(crate) async fn multipart(response: Response, limits: Limits) -> Result<Opened, FetchError> {
        let content_type = text(response.headers(), CONTENT_TYPE.as_str()).unwrap_or_default();
        let mut parser = Parser::new(content_type).map_err(bad_multipart)?;
        let mut body = Body::new(response, limits, MOST_WRAPPING_BYTES)?;
        let mut events = VecDeque::new();
        let head = loop {
            match events.pop_front() {
                Some(Event::Head(head)) => break head,
                Some(_) => {}
                None => match body.next().await? {
                    Some(chunk) => events.extend(parser.feed(&chunk).map_err(bad_multipart)?),
                    None => events.extend(last_events(&mut parser, &body)?),
                },
            }
        };
        let PartHead { content_type, file_name, location } = head;
        if let Some(location) = location {
            return Ok(Opened::Elsewhere(location));
        }
        let content_type = content_type.unwrap_or_else(ContentType::octet_stream);
        let head = Head { content_type, file_name, size_bytes: None };
        let mut content = Self::new(head, body, Some(parser), limits)?;
        content.take(events);
        Ok(Opened::Here(Box::new(content)))
    }

    fn new(head: Head, body: Body, parser: Option<Parser>, limits: Limits) -> Result<Self, FetchError> {
        let mut content = Self { head, body, parser, pieces: VecDeque::new(), most_bytes: u64::MAX, taken_bytes: 0 };
        content.limit(limits.most_bytes)?;
        Ok(content)
    }

    /// Takes no more than this, if it is less than before.
    pub(crate) fn limit(&mut self, most_bytes: u64) -> Result<(), FetchError> {
        self.most_bytes = self.most_bytes.min(most_bytes);
        let fits = self.head.size_bytes.is_none_or(|size| size <= self.most_bytes);
        if fits { Ok(()) } else { Err(FetchError::too_large()) }
    }

    /// The next bytes, not empty; `None` once all have arrived: the closing
    /// delimiter has, or the answer was complete.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                self.taken_bytes += piece.len() as u64;
                if self.taken_bytes > self.most_bytes {
                    return Err(FetchError::too_large());
                }
                // It is kept for a while. A copy keeps its own bytes alone, the original the
                // whole buffer into which it was read, be it a single byte of it.
                return Ok(Some(Bytes::copy_from_slice(&piece)));
            }
            // What follows the closing delimiter does not count, be it the end of a connection
            // that was cut: some servers never close TLS as they should.
            if self.parser.as_ref().is_some_and(Parser::is_complete) {
                return Ok(None);
            }
            let chunk = self.body.next().await?;
            let is_over = chunk.is_none();
            match (&mut self.parser, chunk) {
                (Some(parser), Some(chunk)) => {
                    let events = parser.feed(&chunk).map_err(bad_multipart)?;
                    self.take(events);
                }
                (Some(parser), None) if !self.body.was_finished => {
                    let events = last_events(parser, &self.body)?;
                    self.body.was_finished = true;
                    self.take(events);
                }
                (None, Some(chunk)) => self.pieces.push_back(chunk),
                (_, None) => {}
            }
            if is_over && self.pieces.is_empty() {
                return Ok(None);
            }
        }
    }

    fn take(&mut self, events: impl IntoIterator<Item = Event>) {
        self.pieces.extend(events.into_iter().filter_map(|event| match event {
            Event::Body(piece) => Some(piece),
            _ => None,
        }));
    }
}

fn last_events(parser: &mut Parser, body: &Body) -> Result<Vec<Event>, FetchError> {
    parser.finish(body.is_framed).map_err(bad_multipart)
}

fn bad_multipart(error: InvalidMultipart) -> FetchError {
    FetchError::nonsense(format!("the answer of the other server is malformed: {error}")).unanswered()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Only if it is the last coding do chunks tell where the end is.
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back().and_then(|codings| codings.to_str().ok());
    last.and_then(|codings| codings.rsplit(',').next())
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// The bytes of an answer, wrapping and all.
#[derive(Debug)]
struct Body {
    response: Response,
    read_timeout: Duration,
    bytes_left: u64,
    /// Whether its end is told by more than the end of the connection.
    is_framed: bool,
    is_over: bool,
    /// Whether the parser has been told of the end.
    was_finished: bool,
}

impl Body {
    fn new(response: Response, limits: Limits, wrapping_bytes: u64) -> Result<Self, FetchError> {
        let bytes_left = limits.most_bytes.saturating_add(wrapping_bytes);
        if response.content_length().is_some_and(|length| length > bytes_left) {
            return Err(FetchError::too_large());
        }
        let read_timeout = limits.read_timeout;
        let is_framed = response.content_length().is_some()
            || is_chunked(response.headers())
            || response.version() == Version::HTTP_2;
        Ok(Self { response, read_timeout, bytes_left, is_framed, is_over: false, was_finished: false })
    }

    /// The next bytes, not empty; `None` at the end of a complete answer.
    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while !self.is_over {
            let chunk = timeout(self.read_timeout, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| FetchError::broke_off("it stopped sending"))?;
            let chunk = chunk.map_err(|error| FetchError::broke_off(Reason(&error).to_string()))?;
            let Some(chunk) = chunk else {
                self.is_over = true;
                break;
            };
            self.bytes_left = self.bytes_left.checked_sub(chunk.len() as u64).ok_or_else(FetchError::too_large)?;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }
}
