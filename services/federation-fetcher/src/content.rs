//! The content of a good answer, piece by piece, within the limits.

use std::collections::VecDeque;

use bytes::Bytes;
use heliograph_types::ContentType;
use reqwest::{
    Response,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    body::{Body, Limits},
    disposition::read_file_name,
    flight::Head,
    multipart::{Event, InvalidMultipart, Parser, PartHead},
    phase::Phase,
    range::{GoOn, Version},
    resume::Place,
    verdict::FetchError,
};

/// What a multipart answer may have besides the content.
const MOST_WRAPPING_BYTES: u64 = 256 << 10;

/// Content that is arriving.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) head: Head,
    body: Body,
    parser: Option<Parser>,
    /// Whether the parser has been told of the end.
    was_finished: bool,
    pieces: VecDeque<Bytes>,
    most_bytes: u64,
    taken_bytes: u64,
    /// How large the head of its part says that it is.
    said_bytes: Option<u64>,
    /// The size of all of it, if it must be that.
    total_bytes: Option<u64>,
    /// So many of the next bytes have been taken before.
    skip_bytes: u64,
    /// Where the rest can be had, should it break off, and how to tell that it is the rest.
    rest: Option<(Place, Version)>,
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
    pub(crate) fn plain(response: Response, limits: Limits, place: Place) -> Result<Self, FetchError> {
        let headers = response.headers();
        let total_bytes = response.content_length();
        let rest = Version::of(headers, total_bytes).map(|version| (place, version));
        let head = Head {
            content_type: text(headers, CONTENT_TYPE.as_str())
                .map_or_else(ContentType::octet_stream, ContentType::parse_or_octet_stream),
            file_name: headers.get(CONTENT_DISPOSITION).and_then(|value| read_file_name(value.as_bytes())),
            size_bytes: total_bytes,
        };
        let content = Self::new(head, Body::new(response, limits, 0)?, None, limits)?;
        Ok(Self { total_bytes, rest, ..content })
    }

    /// The body of `response` is multipart: reads until the content begins, but not for longer
    /// than until `deadline`.
    pub(crate) async fn multipart(response: Response, limits: Limits, deadline: Instant) -> Result<Opened, FetchError> {
        let opened = timeout_at(deadline, Self::open_multipart(response, limits)).await;
        opened.unwrap_or_else(|_| Err(Phase::Parts.late()))
    }

    async fn open_multipart(response: Response, limits: Limits) -> Result<Opened, FetchError> {
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
        let PartHead { content_type, file_name, location, said_bytes } = head;
        if let Some(location) = location {
            return Ok(Opened::Elsewhere(location));
        }
        let content_type = content_type.unwrap_or_else(ContentType::octet_stream);
        let head = Head { content_type, file_name, size_bytes: None };
        if said_bytes.is_some_and(|said| said > limits.most_bytes) {
            return Err(FetchError::too_large());
        }
        let mut content = Self { said_bytes, ..Self::new(head, body, Some(parser), limits)? };
        content.take(events);
        Ok(Opened::Here(Box::new(content)))
    }

    fn new(head: Head, body: Body, parser: Option<Parser>, limits: Limits) -> Result<Self, FetchError> {
        let mut content = Self {
            head,
            body,
            parser,
            was_finished: false,
            pieces: VecDeque::new(),
            most_bytes: u64::MAX,
            taken_bytes: 0,
            said_bytes: None,
            total_bytes: None,
            skip_bytes: 0,
            rest: None,
        };
        content.limit(limits.most_bytes)?;
        Ok(content)
    }

    /// Takes no more than this, if it is less than before.
    pub(crate) fn limit(&mut self, most_bytes: u64) -> Result<(), FetchError> {
        self.most_bytes = self.most_bytes.min(most_bytes);
        let fits = self.head.size_bytes.is_none_or(|size| size <= self.most_bytes);
        if fits { Ok(()) } else { Err(FetchError::too_large()) }
    }

    /// How large it is about, as far as the origin says.
    pub(crate) fn said_bytes(&self) -> Option<u64> {
        self.head.size_bytes.or(self.said_bytes).or(self.body.length)
    }

    /// So many bytes have been given out.
    pub(crate) const fn arrived_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Where the rest of it can be had, and how to tell; nothing if it did not just break off.
    pub(crate) fn find_rest(&self) -> Option<(Place, Version)> {
        self.rest.clone().filter(|_| self.body.broke_off)
    }

    /// Goes on with what `response` brings.
    pub(crate) fn go_on(&mut self, response: Response, limits: Limits, go_on: GoOn) -> Result<(), FetchError> {
        let GoOn { skip_bytes, total_bytes } = go_on;
        if total_bytes.is_some_and(|total| total > self.most_bytes) {
            return Err(FetchError::too_large());
        }
        self.body = Body::new(response, limits, 0)?;
        (self.skip_bytes, self.total_bytes) = (skip_bytes, total_bytes);
        if let Some((_, version)) = &mut self.rest {
            version.total_bytes = total_bytes;
        }
        Ok(())
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
                (Some(parser), None) if !self.was_finished => {
                    let events = last_events(parser, &self.body)?;
                    self.was_finished = true;
                    self.take(events);
                }
                (None, Some(chunk)) => self.take_plain(chunk),
                (_, None) => {}
            }
            if is_over && self.pieces.is_empty() {
                return self.check_end().map(|()| None);
            }
        }
    }

    fn take_plain(&mut self, mut chunk: Bytes) {
        let skipped = usize::try_from(self.skip_bytes).unwrap_or(usize::MAX).min(chunk.len());
        self.skip_bytes -= skipped as u64;
        let new = chunk.split_off(skipped);
        if !new.is_empty() {
            self.pieces.push_back(new);
        }
    }

    /// A part that was shorter than what was asked for is not the end of it all.
    fn check_end(&mut self) -> Result<(), FetchError> {
        match self.total_bytes {
            Some(total) if total != self.taken_bytes => {
                self.body.broke_off = true;
                Err(FetchError::broke_off(format!("it sent {} of {total} bytes", self.taken_bytes)))
            }
            _ => Ok(()),
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
