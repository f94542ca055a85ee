//! The body of a federation answer: multipart/mixed of exactly two parts, as it arrives.
//!
//! A pure push parser: bytes go in, events come out. Holds back only what could be the
//! start of a delimiter, so the content of the second part streams through.

use bytes::{Bytes, BytesMut};
use heliograph_types::{ContentType, FileName};
use serde_json::{Map, Value};

use crate::{delimiter::Delimiter, disposition::read_file_name};

const MOST_METADATA_BYTES: usize = 64 << 10;
const MOST_HEADER_BYTES: usize = 16 << 10;
/// Preamble is for people with old mail programs; nobody needs much of it.
const MOST_PREAMBLE_BYTES: usize = 64 << 10;

/// The body is not what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidMultipart(pub(crate) &'static str);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The first part.
    Metadata(Map<String, Value>),
    /// The headers of the second part.
    Head(PartHead),
    /// The next bytes of the second part; never empty.
    Body(Bytes),
    /// The second part is complete. What follows may still turn out to be wrong: see
    /// [`Parser::finish`].
    End,
}

/// The headers of the second part, as far as they mean anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PartHead {
    /// What the content is said to be.
    pub(crate) content_type: Option<ContentType>,
    /// What it is called.
    pub(crate) file_name: Option<FileName>,
    /// Where the content is, if it is not here.
    pub(crate) location: Option<String>,
    /// How large it is said to be. Nothing is believed because of it.
    pub(crate) said_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Preamble,
    MetadataHeaders,
    Metadata,
    ContentHeaders,
    Content,
    /// After a delimiter that did not say that it is the last.
    MaybeThird,
    Epilogue,
}

/// Reads one body.
#[derive(Debug)]
pub(crate) struct Parser {
    delimiter: Delimiter,
    stage: Stage,
    buffer: BytesMut,
    /// Whether the buffer begins at the beginning of a line.
    at_line_start: bool,
    metadata: Vec<u8>,
    preamble_bytes: usize,
    events: Vec<Event>,
}

impl Parser {
    /// A parser for a body with this `Content-Type`.
    pub(crate) fn new(content_type: &str) -> Result<Self, InvalidMultipart> {
        Ok(Self {
            delimiter: Delimiter::from_content_type(content_type)?,
            stage: Stage::Preamble,
            buffer: BytesMut::new(),
            at_line_start: true,
            metadata: Vec::new(),
            preamble_bytes: 0,
            events: Vec::new(),
        })
    }

    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Result<Vec<Event>, InvalidMultipart> {
        // Once the content is over, what follows is looked at and forgotten.
        if self.stage != Stage::Epilogue {
            self.buffer.extend_from_slice(chunk);
            self.advance(false)?;
        }
        Ok(std::mem::take(&mut self.events))
    }

    /// Whether the closing delimiter has been seen: nothing that follows counts.
    pub(crate) fn is_complete(&self) -> bool {
        self.stage == Stage::Epilogue
    }

    /// There are no more bytes. If it `is_whole` for certain, the closing delimiter may be
    /// missing; otherwise nothing else tells that no bytes are.
    pub(crate) fn finish(&mut self, is_whole: bool) -> Result<Vec<Event>, InvalidMultipart> {
        self.advance(true)?;
        match self.stage {
            Stage::Epilogue | Stage::MaybeThird => {}
            Stage::Content if is_whole => self.events.push(Event::End),
            Stage::Content => return Err(InvalidMultipart("it breaks off")),
            _ => return Err(InvalidMultipart("fewer than two parts")),
        }
        Ok(std::mem::take(&mut self.events))
    }

    fn advance(&mut self, at_end: bool) -> Result<(), InvalidMultipart> {
        while self.step(at_end)? {}
        Ok(())
    }

    /// One step; false if more bytes are needed.
    fn step(&mut self, at_end: bool) -> Result<bool, InvalidMultipart> {
        match self.stage {
            Stage::Preamble | Stage::Metadata | Stage::Content => self.step_to_delimiter(at_end),
            Stage::MetadataHeaders => Ok(self.take_headers()?.map(|_| self.enter(Stage::Metadata)).is_some()),
            Stage::ContentHeaders => {
                let Some(headers) = self.take_headers()? else { return Ok(false) };
                self.events.push(Event::Head(read_part_head(&headers)));
                self.enter(Stage::Content);
                Ok(true)
            }
            Stage::MaybeThird => {
                let only_blanks = self.buffer.iter().all(u8::is_ascii_whitespace);
                self.buffer.clear();
                if only_blanks { Ok(false) } else { Err(InvalidMultipart("more than two parts")) }
            }
            Stage::Epilogue => {
                self.buffer.clear();
                Ok(false)
            }
        }
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.at_line_start = true;
    }

    fn step_to_delimiter(&mut self, at_end: bool) -> Result<bool, InvalidMultipart> {
        let scan = self.delimiter.scan(&self.buffer, self.at_line_start, at_end);
        let content = self.buffer.split_to(scan.content_bytes);
        self.at_line_start &= content.is_empty();
        self.take_content(content.freeze())?;
        let Some(found) = scan.delimiter else { return Ok(false) };
        let _ = self.buffer.split_to(found.bytes);
        let next = match (self.stage, found.is_last) {
            (Stage::Content, true) => Stage::Epilogue,
            (Stage::Content, false) => Stage::MaybeThird,
            (_, true) => return Err(InvalidMultipart("fewer than two parts")),
            (Stage::Preamble, false) => Stage::MetadataHeaders,
            (_, false) => Stage::ContentHeaders,
        };
        self.leave_stage()?;
        self.enter(next);
        Ok(true)
    }

    fn take_content(&mut self, content: Bytes) -> Result<(), InvalidMultipart> {
        match self.stage {
            Stage::Content if !content.is_empty() => self.events.push(Event::Body(content)),
            Stage::Metadata => {
                self.metadata.extend_from_slice(&content);
                if self.metadata.len() > MOST_METADATA_BYTES {
                    return Err(InvalidMultipart("the metadata is over 64 KiB"));
                }
            }
            Stage::Preamble => {
                self.preamble_bytes += content.len();
                if self.preamble_bytes > MOST_PREAMBLE_BYTES {
                    return Err(InvalidMultipart("there is no part in the first 64 KiB"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn leave_stage(&mut self) -> Result<(), InvalidMultipart> {
        match self.stage {
            Stage::Metadata => {
                let metadata = serde_json::from_slice(&std::mem::take(&mut self.metadata));
                let metadata = metadata.map_err(|_| InvalidMultipart("the first part is not a JSON object"))?;
                self.events.push(Event::Metadata(metadata));
            }
            Stage::Content => self.events.push(Event::End),
            _ => {}
        }
        Ok(())
    }

    /// Takes a block of headers with the blank line after it, once it is complete.
    fn take_headers(&mut self) -> Result<Option<Bytes>, InvalidMultipart> {
        let end = end_of_headers(&self.buffer);
        if end.unwrap_or(self.buffer.len()) > MOST_HEADER_BYTES {
            return Err(InvalidMultipart("the headers of a part are over 16 KiB"));
        }
        Ok(end.map(|end| self.buffer.split_to(end).freeze()))
    }
}

/// Behind the first blank line.
fn end_of_headers(buffer: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (at, _) in buffer.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        let line = &buffer[line_start..at];
        if line.is_empty() || line == b"\r" {
            return Some(at + 1);
        }
        line_start = at + 1;
    }
    None
}

fn read_part_head(headers: &[u8]) -> PartHead {
    let mut head = PartHead::default();
    for line in headers.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (line[..colon].trim_ascii().to_ascii_lowercase(), line[colon + 1..].trim_ascii());
        let text = || str::from_utf8(value).ok();
        match name.as_slice() {
            b"content-type" if head.content_type.is_none() => {
                head.content_type = text().and_then(|text| text.parse().ok());
            }
            b"content-disposition" if head.file_name.is_none() => head.file_name = read_file_name(value),
            b"content-length" if head.said_bytes.is_none() => {
                head.said_bytes = text().and_then(|text| text.parse().ok());
            }
            b"location" if head.location.is_none() => head.location = Some(String::from_utf8_lossy(value).into_owned()),
            _ => {}
        }
    }
    head
}

#[cfg(test)]
mod tests;
